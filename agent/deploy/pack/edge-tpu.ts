import { mkdir, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { CompilerReport } from '../../contracts/pack.ts';
import { messageOf } from '../../util/errors.ts';
import { COMPILER, compileForEdgeTpu } from './compiler.ts';
import type { PackVariantFile } from '../../model/manifest/contents.ts';
import { PackError } from './errors.ts';
import { copyTo } from './folder.ts';
import type { PackHooks, PackRequest, PackTools } from './types.ts';

/** Versions for the Edge TPU, in a folder of their own; nothing where none was made. */
export interface EdgeTpuVersions {
  readonly variants: readonly PackVariantFile[];
  readonly compiler?: CompilerReport;
  readonly warnings: readonly string[];
}

const NONE: EdgeTpuVersions = { variants: [], warnings: [] };

/**
 * An integer-only version made here, and the same compiled. Where it was not asked for in so many
 * words, what cannot be done is a warning. Throws PackError, QuantizeError or RuntimeFailure.
 */
export async function makeForEdgeTpu(
  request: PackRequest,
  folder: string,
  tools: PackTools,
  hooks: PackHooks,
): Promise<EdgeTpuVersions> {
  const { edgeTpu, source } = request;
  if (edgeTpu.wanted === 'no') return NONE;
  const obstacle = whyNot(request);
  if (obstacle !== undefined) {
    if (edgeTpu.wanted === 'yes') throw obstacle;
    // Without a compiler nobody expects anything; with one, a model that it cannot take is worth a line.
    return edgeTpu.program === undefined ? NONE : { ...NONE, warnings: [obstacle.message] };
  }
  try {
    return await make(request, folder, tools, hooks);
  } catch (error) {
    hooks.signal.throwIfAborted();
    if (edgeTpu.wanted === 'yes') throw error;
    const name = basename(source.model.path);
    return {
      ...NONE,
      warnings: [`${name} was not compiled for the Edge TPU: ${messageOf(error)}`],
    };
  }
}

function whyNot({ edgeTpu, source }: PackRequest): PackError | undefined {
  if (edgeTpu.program === undefined) {
    const advice = 'install it (x86-64 only), or leave out --edgetpu';
    return new PackError('no-compiler', `${COMPILER} is not on the PATH: ${advice}`);
  }
  const name = basename(source.model.path);
  if (source.model.format !== 'tflite') {
    const message = `${name} is not compiled for the Edge TPU, which takes TFLite models: convert it first`;
    return new PackError('not-for-edge-tpu', message);
  }
  if (source.calibration === null && !source.integerOnly) {
    const message = `${name} is not compiled for the Edge TPU: it must be quantized first, which needs --samples`;
    return new PackError('not-for-edge-tpu', message);
  }
  return undefined;
}

async function make(
  { edgeTpu, source }: PackRequest,
  folder: string,
  tools: PackTools,
  hooks: PackHooks,
): Promise<EdgeTpuVersions> {
  const { program = COMPILER, timeoutMs } = edgeTpu;
  await mkdir(folder, { recursive: true });
  try {
    const stem = basename(source.model.path, '.tflite');
    const integer = join(folder, source.integerOnly ? `${stem}.tflite` : `${stem}_int8.tflite`);
    hooks.progress({ phase: 'quantizing for the Edge TPU' });
    const made = source.integerOnly
      ? await copyTo(source.model.path, integer).then(() => ({ warnings: [] }))
      : await tools.makeIntegerOnly(integer);
    hooks.progress({ phase: 'compiling for the Edge TPU' });
    const { signal } = hooks;
    const compiled = await compileForEdgeTpu({
      program,
      model: integer,
      folder,
      signal,
      timeoutMs,
    });
    const { mapped, report: compiler } = compiled;
    const { onCpu, ...found } = await tools.describe(compiled.path);
    if (onCpu === null) {
      const message = `${COMPILER} mapped nothing of ${basename(integer)} to the Edge TPU`;
      throw new PackError('compiler-failed', message, { kind: 'failure' });
    }
    const ops = mapped === null ? {} : { ops: { accelerator: mapped, cpu: onCpu } };
    const tpu = { ...found, spec: { ...found.spec, ...ops } };
    const { onCpu: _, ...cpu } = await tools.describe(integer);
    // The model itself is what runs on the CPU where it is integer-only already.
    const variants = source.integerOnly ? [tpu] : [tpu, cpu];
    return { variants, compiler, warnings: [...made.warnings, ...offChip(compiler)] };
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

function offChip({ offChipBytes }: CompilerReport): readonly string[] {
  if (offChipBytes === null || offChipBytes === 0) return [];
  const megabytes = (offChipBytes / 1e6).toFixed(2);
  return [
    `${megabytes} MB of parameters do not fit into the Edge TPU and are sent every time: a smaller model is faster`,
  ];
}
