import type { Collection } from '../calibration/observers/statistics.ts';
import type { Scheme } from '../contracts/scheme.ts';
import { writeOnnx } from '../model/onnx/open.ts';
import { messageOf } from '../util/errors.ts';
import { writeFileDurably } from '../util/files.ts';
import { Maker } from './make.ts';
import type { Scratch } from './scratch.ts';
import { workThreads } from './subject.ts';
import type { Subject } from './subject.ts';
import type { Candidate, Hooks, ModelFiles } from './types.ts';

/** A candidate with its file, or why there is none. */
export interface MadeFile {
  readonly candidate: Candidate;
  readonly file: (ModelFiles & { readonly bytes: number }) | { readonly error: string };
}

/** Candidates that differ only in threads share one file. */
export async function makeFiles(
  candidates: readonly Candidate[],
  subject: Subject,
  maker: Maker,
  scratch: Scratch,
  hooks: Hooks,
): Promise<readonly MadeFile[]> {
  const made = new Map<string, MadeFile['file']>();
  for (const { scheme, id } of candidates) {
    const key = JSON.stringify(scheme);
    if (made.has(key)) continue;
    const name = id.replace(/\/t\d+$/, '.onnx');
    // oxlint-disable-next-line no-await-in-loop -- one after the other bounds the memory
    made.set(key, await makeFile(scheme, scratch.file(name), subject, maker, hooks));
  }
  return candidates.map((candidate) => ({
    candidate,
    file: made.get(JSON.stringify(candidate.scheme)) ?? { error: 'was not made' },
  }));
}

async function makeFile(
  scheme: Scheme,
  path: string,
  { loaded }: Subject,
  maker: Maker,
  hooks: Hooks,
): Promise<MadeFile['file']> {
  if (scheme.method === 'none') {
    return { path: loaded.path, companions: loaded.companions, bytes: loaded.bytes };
  }
  try {
    const { model } = await maker.make(scheme);
    const chunks = writeOnnx(model);
    await writeFileDurably(path, chunks);
    return { path, companions: [], bytes: chunks.reduce((sum, { length }) => sum + length, 0) };
  } catch (error) {
    hooks.signal.throwIfAborted();
    return { error: messageOf(error) };
  }
}

export function makerFor(
  subject: Subject,
  scratch: Scratch,
  hooks: Hooks,
  ranges: Collection | null = null,
): Maker {
  return new Maker({
    float: subject.loaded.model,
    calibration: subject.samples.calibration,
    calibrationCount: subject.calibrationInfo?.count ?? null,
    threads: workThreads(subject),
    ranges,
    scratch,
    hooks,
  });
}
