import type { Collection } from '../../calibration/observers/statistics.ts';
import type { Scheme } from '../../contracts/scheme.ts';
import { extensionOf, writeModel } from '../../model/open.ts';
import { messageOf } from '../../util/errors.ts';
import { calibrationBytes } from '../calibrate/calibration-budget.ts';
import { keepAccuracy } from '../search/keep-accuracy.ts';
import { OnnxMaker } from './make.ts';
import type { VersionMaker } from '../search/version-maker.ts';
import { writeScratchFile } from '../scratch.ts';
import type { Scratch } from '../scratch.ts';
import { workThreads } from '../subject.ts';
import type { Subject } from '../subject.ts';
import type { Candidate, Hooks, ModelFiles } from '../types.ts';

/** A candidate with its file, or why there is none. */
export interface MadeFile {
  readonly candidate: Candidate;
  readonly file: (ModelFiles & { readonly bytes: number }) | { readonly error: string };
}

/** A file, and the nodes that a static version gave back to float. */
interface Made {
  readonly file: MadeFile['file'];
  readonly given: number;
}

/**
 * Candidates that differ only in threads share one file. A static version that would collapse gives
 * layers back to float (keepAccuracy), and its candidate says so.
 */
export async function makeFiles(
  candidates: readonly Candidate[],
  subject: Subject,
  maker: VersionMaker,
  scratch: Scratch,
  hooks: Hooks,
): Promise<readonly MadeFile[]> {
  const tools = { subject, maker, scratch, hooks };
  const made = new Map<string, Made>();
  for (const { scheme, id, prebuilt } of candidates) {
    if (prebuilt !== undefined) continue;
    const key = JSON.stringify(scheme);
    if (made.has(key)) continue;
    const name = id.replace(/\/t\d+$/, extensionOf(subject.loaded.model));
    // oxlint-disable-next-line no-await-in-loop -- one after the other bounds the memory
    made.set(key, await makeFile(scheme, scratch.file(name), tools));
  }
  return candidates.map((candidate) => {
    if (candidate.prebuilt !== undefined) return { candidate, file: candidate.prebuilt.file };
    const { file, given } = made.get(JSON.stringify(candidate.scheme)) ?? NOT_MADE;
    if (given === 0) return { candidate, file };
    const nodes = given === 1 ? 'node' : 'nodes';
    const why = `${candidate.why}; ${given} ${nodes} given back to float for accuracy`;
    return { candidate: { ...candidate, why }, file };
  });
}

const NOT_MADE: Made = { file: { error: 'was not made' }, given: 0 };

async function makeFile(asked: Scheme, path: string, tools: Tools): Promise<Made> {
  const { maker, hooks } = tools;
  const { loaded } = tools.subject;
  if (asked.method === 'none') {
    const { path: own, companions, bytes } = loaded;
    return { file: { path: own, companions, bytes }, given: 0 };
  }
  try {
    const { scheme, given } = await keepAccuracy(asked, asNamed(asked), tools);
    const { model } = await maker.make(scheme);
    const chunks = writeModel(model);
    await writeScratchFile(path, chunks);
    const bytes = chunks.reduce((sum, { length }) => sum + length, 0);
    return { file: { path, companions: [], bytes }, given: given.size };
  } catch (error) {
    hooks.signal.throwIfAborted();
    return { file: { error: messageOf(error) }, given: 0 };
  }
}

/** A candidate is compared under the name of its observer. */
const asNamed = ({ observer }: Scheme) => ({ observer });

interface Tools {
  readonly subject: Subject;
  readonly maker: VersionMaker;
  readonly scratch: Scratch;
  readonly hooks: Hooks;
}

export async function makerFor(
  { loaded, samples, calibrationInfo, ...subject }: Subject,
  scratch: Scratch,
  hooks: Hooks,
  ranges: Collection | null = null,
): Promise<VersionMaker> {
  const { model } = loaded;
  const options = {
    calibration: samples.calibration,
    calibrationCount: calibrationInfo?.count ?? null,
    threads: workThreads(subject),
    exposedBytes: calibrationBytes(subject.profile, subject.facts.memory),
    ranges,
    scratch,
    hooks,
  };
  if (model.format === 'onnx') return new OnnxMaker({ float: model, ...options });
  const { TfliteMaker } = await import('../tflite/make.ts');
  return new TfliteMaker({ float: model, ...options });
}
