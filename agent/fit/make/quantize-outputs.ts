import { dirname, join, resolve } from 'node:path';
import { checkCanWriteFile, isSameFile } from '../../util/files.ts';
import { followLinks } from '../../util/links.ts';
import { FitError } from '../errors.ts';
import type { Subject } from '../subject.ts';
import type { QuantizeRequest } from '../types.ts';

type Outputs = Pick<QuantizeRequest, 'output' | 'saveRanges'>;

/** Found out before the long work, not after. */
export async function checkOutputs({ output, saveRanges }: Outputs): Promise<void> {
  await checkCanWriteFile(output);
  if (saveRanges === undefined) return;
  await checkCanWriteFile(saveRanges);
  const [ranges, model] = await Promise.all([followLinks(saveRanges), followLinks(output)]);
  if (resolve(ranges) === resolve(model)) {
    throw new FitError('bad-output', `${output} cannot hold both the model and its ranges`);
  }
}

/** What one format of models has and another one has not. Throws `FitError`. */
export function refuseForeign(
  { format, io, emit }: Pick<QuantizeRequest, 'format' | 'io' | 'emit'>,
  { loaded }: Pick<Subject, 'loaded'>,
): void {
  const isOnnx = loaded.model.format === 'onnx';
  const flag = isOnnx
    ? io !== undefined
      ? '--io'
      : emit !== undefined
        ? '--emit'
        : undefined
    : format !== undefined
      ? '--format'
      : undefined;
  if (flag === undefined) return;
  const [has, other] = isOnnx ? ['ONNX', 'TFLite'] : ['TFLite', 'ONNX'];
  throw new FitError(
    'bad-option',
    `${flag} is for ${other} models, and this one is ${has}: leave it out`,
  );
}

/** The float model is worth more than its quantized version, and often there is no second copy. */
export async function refuseOverwriting(
  { output, saveRanges = output }: Outputs,
  { package: model, loaded }: Pick<Subject, 'package' | 'loaded'>,
): Promise<void> {
  const { modelPath } = model;
  const folder = dirname(modelPath);
  const companions = loaded.companions.map((name) => join(folder, name));
  const inputs = [model.manifestPath ?? modelPath, modelPath, ...companions];
  const pairs = inputs.flatMap((path) => [[path, output] as const, [path, saveRanges] as const]);
  for (const [path, written] of pairs) {
    // oxlint-disable-next-line no-await-in-loop -- two or three files
    if (!(await isSameFile(path, written))) continue;
    throw new FitError('bad-output', `${written} is what is to be quantized: give another name`);
  }
}
