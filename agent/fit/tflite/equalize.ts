import { exposeTensors } from '../../model/tflite/expose.ts';
import { writeTflite } from '../../model/tflite/open.ts';
import type { TfliteModel } from '../../model/tflite/types.ts';
import { equalize, tensorsToEqualize } from '../../quantize/tflite/equalize/equalize.ts';
import { LOAD_TIMEOUT_MS, inChild } from '../children.ts';
import { MOST_SAMPLES, valuesToLookAt } from '../calibrate/equalize.ts';
import type { EqualizeHow } from '../calibrate/equalize.ts';
import { counted } from '../progress.ts';
import { writeScratchFile } from '../scratch.ts';

/** How many values of a prepared model that looks at. */
export function valuesOfChannels(prepared: TfliteModel): number {
  const [graph] = prepared.subgraphs;
  const shapes = new Map(graph?.tensors.map(({ name, shape }) => [name, shape]));
  return valuesToLookAt(
    tensorsToEqualize(prepared).map(({ name }) => name),
    shapes,
  );
}

/** Looks at the channels of a prepared model on calibration samples and equalizes it. */
export async function equalizeTflite(
  prepared: TfliteModel,
  { job, threads, scratch, hooks, strength }: Omit<EqualizeHow, 'mostValues'>,
): Promise<TfliteModel> {
  const phase = 'looking at channels';
  hooks.progress({ phase });
  const targets = tensorsToEqualize(prepared);
  const names = targets.map(({ name }) => name);
  if (names.length === 0) return prepared;
  return inChild({
    name: 'equalization',
    signal: hooks.signal,
    scratch,
    use: async (worker) => {
      const path = scratch.file('channels.tflite');
      await writeScratchFile(path, writeTflite(exposeTensors(prepared, names)));
      const ranges = await worker.call(
        'channelRanges',
        { path, job, threads, targets, most: MOST_SAMPLES },
        {
          timeoutMs: LOAD_TIMEOUT_MS,
          onProgress: (value) => hooks.progress({ phase, ...counted(value) }),
        },
      );
      return equalize(prepared, ranges, { strength }).model;
    },
  });
}
