import { exposeTensors } from '../model/onnx/expose.ts';
import { writeOnnx } from '../model/onnx/open.ts';
import type { OnnxModel } from '../model/onnx/open.ts';
import { equalize, tensorsToEqualize } from '../quantize/onnx/equalize/equalize.ts';
import type { Equalized } from '../quantize/onnx/equalize/equalize.ts';
import { LOAD_TIMEOUT_MS, inChild } from './children.ts';
import { counted } from './progress.ts';
import type { SampleJob } from './sample-jobs.ts';
import { writeScratchFile } from './scratch.ts';
import type { Scratch } from './scratch.ts';
import type { Hooks } from './types.ts';

/** With a quarter of these, factors followed the samples too closely, and cost more than they gained. */
const MOST_SAMPLES = 64;

export interface EqualizeRequest {
  readonly prepared: OnnxModel;
  readonly job: SampleJob;
  readonly threads: number;
  readonly scratch: Scratch;
  readonly hooks: Hooks;
  /** Alpha of SmoothQuant; the one with the least predicted noise where it is not given. */
  readonly strength?: number | undefined;
}

/** Looks at the channels of a prepared model on calibration samples and equalizes it. */
export function equalizeModel(request: EqualizeRequest): Promise<Equalized> {
  const { prepared, job, threads, scratch, hooks } = request;
  const phase = 'looking at channels';
  hooks.progress({ phase });
  return inChild({
    name: 'equalization',
    signal: hooks.signal,
    scratch,
    use: async (worker) => {
      const args = { timeoutMs: LOAD_TIMEOUT_MS };
      const all = prepared.graph.node.flatMap(({ output }) => output.filter((name) => name !== ''));
      const path = scratch.file('channels.onnx');
      await writeScratchFile(path, writeOnnx(exposeTensors(prepared, all)));
      const shapes = await worker.call('shapes', { path, job, threads }, args);
      const targets = tensorsToEqualize(prepared.graph, shapes);
      if (targets.length === 0) return { model: prepared, groups: [] };
      const names = targets.map(({ name }) => name);
      await writeScratchFile(path, writeOnnx(exposeTensors(prepared, names)));
      const ranges = await worker.call(
        'channelRanges',
        { path, job, threads, targets, most: MOST_SAMPLES },
        { ...args, onProgress: (value) => hooks.progress({ phase, ...counted(value) }) },
      );
      return equalize(prepared, shapes, ranges, { strength: request.strength });
    },
  });
}
