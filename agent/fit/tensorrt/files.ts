import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { writeModel } from '../../model/open.ts';
import { messageOf } from '../../util/errors.ts';
import { fileError } from '../../util/files.ts';
import { makeFiles, type MadeFile } from '../make/make-files.ts';
import { writeScratchFile } from '../scratch.ts';
import type { Candidate, ModelFiles } from '../types.ts';
import { calibrationTable } from './calibration-table.ts';
import type { EngineTools } from './tools.ts';

/** A file that TensorRT can build an engine from, or why there is none. */
export interface EngineFile extends MadeFile {
  /** Ranges beside the file, where QuantizeLinear in it will not do. */
  readonly calibration?: string;
}

/** Makes the ONNX files of candidates; those of one scheme share one. */
export async function engineFiles(
  candidates: readonly Candidate[],
  tools: EngineTools,
): Promise<readonly EngineFile[]> {
  const { subject, maker, scratch, hooks } = tools;
  const made: EngineFile[] = [];
  for (const candidate of candidates) {
    const { method } = candidate.scheme;
    if (method === 'static' && candidate.dla !== undefined) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other bounds the memory
      made.push(await calibratedFile(candidate, tools));
      continue;
    }
    const keeps = method === 'none' || (method === 'fp16' && tools.trtexec.options.has('--fp16'));
    const file = keeps ? asItIs(candidate, tools) : undefined;
    const known = made.find((one) => isSame(one.candidate, candidate));
    if (file !== undefined) made.push(file);
    else if (known !== undefined) made.push({ ...known, candidate });
    // oxlint-disable-next-line no-await-in-loop -- one after the other bounds the memory
    else made.push(...(await makeFiles([candidate], subject, maker, scratch, hooks)));
  }
  return made;
}

function isSame(a: Candidate, b: Candidate): boolean {
  return a.dla === undefined && JSON.stringify(a.scheme) === JSON.stringify(b.scheme);
}

/** Half precision is an option of the builder, not another file. */
function asItIs(candidate: Candidate, { subject: { loaded } }: EngineTools): EngineFile {
  const { path, companions, bytes } = loaded;
  return { candidate, file: { path, companions, bytes } };
}

/** For the DLA: the float model as it was calibrated, and its ranges in a table. */
async function calibratedFile(candidate: Candidate, tools: EngineTools): Promise<EngineFile> {
  const { maker, scratch, hooks, trtexec } = tools;
  try {
    if (!trtexec.options.has('--calib')) {
      throw new Error('this TensorRT takes no calibration table (--calib), which the DLA needs');
    }
    if (maker.parts === undefined) throw new Error('INT8 on the DLA is for ONNX models');
    const { model, statistics } = await maker.parts(candidate.scheme);
    const chunks = writeModel(model);
    const path = scratch.file(`${candidate.id}.onnx`);
    await writeScratchFile(path, chunks);
    const bytes = chunks.reduce((sum, { length }) => sum + length, 0);
    const calibration = calibrationTable(statistics, trtexec.version);
    // Kept with the model where it wins: without it nobody could build this engine again.
    const companions = ['calibration.table'];
    await writeScratchFile(join(dirname(path), ...companions), [Buffer.from(calibration)]);
    return { candidate, file: { path, companions, bytes }, calibration };
  } catch (error) {
    hooks.signal.throwIfAborted();
    return { candidate, file: { error: messageOf(error) } };
  }
}

/** SHA-256 over a model file and the files with its weights. */
export async function digestOf({ path, companions }: ModelFiles): Promise<string> {
  const hash = createHash('sha256');
  const folder = dirname(path);
  for (const file of [path, ...companions.map((name) => join(folder, name))]) {
    // oxlint-disable-next-line no-await-in-loop -- one hash over all of them
    await pipeline(createReadStream(file), hash, { end: false }).catch((error: unknown) => {
      throw fileError('read', file, error);
    });
  }
  return hash.digest('hex');
}
