import type { Facts } from '../../contracts/facts.ts';
import type { QuantizeReport } from '../../contracts/quantize.ts';
import type { Scheme } from '../../contracts/scheme.ts';
import { writeOnnx } from '../../model/onnx/open.ts';
import type { OnnxModel } from '../../model/onnx/open.ts';
import { adoptQuantized, runnableForm } from '../../quantize/onnx/adopt/adopt.ts';
import type { AdoptOptions } from '../../quantize/onnx/adopt/adopt.ts';
import { reportAdopted } from '../../quantize/onnx/adopt/report.ts';
import { constantPart } from '../../quantize/onnx/prepare/constants.ts';
import { exposeConstants } from '../../quantize/onnx/prepare/prepare.ts';
import { isQuantized as isQuantizedOnnx } from '../../quantize/onnx/recognize.ts';
import { isQuantizedTflite } from '../../quantize/tflite/recognize.ts';
import type { Model } from '../../model/open.ts';
import { QuantizeError } from '../../quantize/errors.ts';
import type { Quantized } from '../../quantize/report.ts';
import { writeFileDurably } from '../../util/files.ts';
import type { LoadedModel } from '../model-file.ts';
import type { Scratch } from '../scratch.ts';
import type { QuantizeRequest } from '../types.ts';

/** What `--to int8-static` found in a model that is quantized already. */
export type Found = NonNullable<QuantizeReport['found']>;

export interface Made extends Quantized<OnnxModel> {
  readonly found?: Found;
}

/** Whether a model computes with integers already: then it is not quantized again. */
export function isQuantized(model: Model): boolean {
  return model.format === 'tflite' ? isQuantizedTflite(model) : isQuantizedOnnx(model);
}

/** The type that integer kernels take fastest where nothing else is known. */
export function fastestActivations(cpu: Pick<Facts['cpu'], 'arch'>): AdoptOptions['activations'] {
  return cpu.arch === 'x64' ? 'u8' : 's8';
}

/**
 * An already quantized model by a scheme: taken over or left alone, never quantized twice.
 * @param fold computes the arithmetic on constants that an exporter left in the graph
 */
export async function makeOfQuantized(
  model: OnnxModel,
  { method, activations, integerOnly }: Scheme,
  fold: () => Promise<OnnxModel>,
): Promise<Made> {
  const options = { activations: activations === 's8' ? 's8' : 'u8' } as const;
  if (method === 'static' && activations !== 's16' && integerOnly !== true) {
    const { kind, changes, ops, model: taken } = adoptQuantized(await folded(model, fold), options);
    return {
      model: changes.length === 0 ? model : taken,
      ops,
      found: { kind, changes: [...changes] },
    };
  }
  if (method === 'none') {
    const runnable = runnableForm(model, options);
    return { model: runnable, ops: reportAdopted(runnable.graph) };
  }
  const advice = 'use --to int8-static, which converts it to the form that runs fastest';
  throw new QuantizeError(
    'ALREADY_QUANTIZED',
    `the model is quantized already: give the float model, or ${advice}`,
  );
}

async function folded(model: OnnxModel, fold: () => Promise<OnnxModel>): Promise<OnnxModel> {
  const { proto, graph } = exposeConstants(model);
  return constantPart(proto, graph, new Map()) === undefined ? model : fold();
}

/** Whether taking the model over would change anything that could make it faster. */
export function isConvertible(model: OnnxModel, options: AdoptOptions): boolean {
  if (!isQuantizedOnnx(model)) return false;
  try {
    return adoptQuantized(model, options).changes.length > 0;
  } catch (error) {
    if (error instanceof QuantizeError) return false;
    throw error;
  }
}

/** The model as a file that the runtime can load; a new one where the given one has to be translated. */
export async function runnableFile(
  loaded: LoadedModel,
  cpu: Pick<Facts['cpu'], 'arch'>,
  scratch: Scratch,
): Promise<LoadedModel> {
  if (loaded.model.format !== 'onnx') return loaded;
  const runnable = runnableForm(loaded.model, { activations: fastestActivations(cpu) });
  if (runnable === loaded.model) return loaded;
  const path = scratch.file('translated.onnx');
  await writeFileDurably(path, writeOnnx(runnable));
  return { ...loaded, path, companions: [] };
}

/** Options that steer a calibration which an already quantized model does not need. */
export function refuseCalibrating(
  {
    ranges,
    saveRanges,
    observer,
    format,
  }: Pick<QuantizeRequest, 'ranges' | 'saveRanges' | 'observer' | 'format'>,
  model: Model,
): void {
  if (!isQuantized(model)) return;
  const flag =
    ranges.length > 0
      ? '--ranges'
      : saveRanges !== undefined
        ? '--save-ranges'
        : observer !== undefined
          ? '--observer'
          : format !== undefined
            ? '--format'
            : undefined;
  if (flag === undefined) return;
  const message = `the model is quantized already and keeps its own ranges and form: leave out ${flag}`;
  throw new QuantizeError('ALREADY_QUANTIZED', message);
}
