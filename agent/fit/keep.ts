import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile, rm, stat } from 'node:fs/promises';
import { basename, dirname, extname, join } from 'node:path';
import type { CandidateRow } from '../contracts/bench.ts';
import { decisionSchema } from '../contracts/fit.ts';
import type { DecisionRecord } from '../contracts/fit.ts';
import { fileError, makeFolder, writeFileDurably } from '../util/files.ts';
import { copyDurably } from './copy.ts';
import { FitError } from './errors.ts';
import { renderMarkdown } from './report/markdown.ts';
import type { BenchRun } from './types.ts';

export const RECORD_FILE = 'decision.json';
export const REPORT_FILE = 'report.md';

/**
 * Puts the chosen model, its record and the report into `folder` (made when missing). The record is
 * written last: a folder with a record is complete. Throws `FitError` when nothing was chosen.
 */
export async function keepChoice(run: BenchRun, folder: string): Promise<DecisionRecord> {
  const { report } = run;
  const chosen = report.candidates.find(({ id }) => id === report.chosen);
  if (chosen === undefined) {
    throw new FitError('nothing-chosen', 'no model was kept: nothing was chosen', {
      kind: 'failure',
    });
  }
  const files = run.files.get(chosen.id);
  if (files === undefined) {
    throw new FitError('no-model-file', `the model of ${chosen.id} is gone`, { kind: 'failure' });
  }
  await makeFolder(folder).catch((error: unknown) => {
    throw fileError('make the folder', folder, error);
  });
  const file = keptName(report.model.name, chosen, files.path);
  // Until the new record is there, the folder holds none: a record means that all is complete.
  const before = await forgetRecord(folder);
  await copyDurably(files.path, join(folder, file));
  for (const location of files.companions) {
    const target = join(folder, location);
    // oxlint-disable-next-line no-await-in-loop -- one large file at a time
    await makeFolder(dirname(target));
    // oxlint-disable-next-line no-await-in-loop -- one large file at a time
    await copyDurably(join(dirname(files.path), location), target);
  }
  const { companions } = files;
  const { id, precision, method, runtime, threads, variant, reason } = chosen;
  const { sha256, bytes } = await digest(join(folder, file));
  const record: DecisionRecord = {
    schema: 'edgefit/decision/1',
    decidedAt: new Date().toISOString(),
    agent: report.agent,
    chosen: {
      id,
      file,
      companions: [...companions],
      sha256,
      bytes,
      precision,
      method,
      runtime,
      threads,
      ...(variant === undefined ? {} : { variant }),
      reason,
    },
    ...(run.inputs === undefined ? {} : { inputs: [...run.inputs] }),
    bench: report,
  };
  await writeFileDurably(join(folder, REPORT_FILE), renderMarkdown(report));
  await writeFileDurably(join(folder, RECORD_FILE), `${JSON.stringify(record, null, 2)}\n`);
  if (before !== null && before !== file) await rm(join(folder, before), { force: true });
  return record;
}

/** Removes the record of an earlier run; returns the file it had kept, if it is one of this folder. */
async function forgetRecord(folder: string): Promise<string | null> {
  const path = join(folder, RECORD_FILE);
  const text = await readFile(path, 'utf8').catch(() => null);
  if (text === null) return null;
  const { success, data } = decisionSchema.safeParse(parseJson(text));
  await rm(path, { force: true }).catch((error: unknown) => {
    throw fileError('replace', path, error);
  });
  return success && basename(data.chosen.file) === data.chosen.file ? data.chosen.file : null;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // A record cut short by a power failure names no file.
    return null;
  }
}

/** `mobilenet.int8-static.onnx`; the name comes from a manifest, so only safe characters stay. */
function keptName(model: string, chosen: CandidateRow, path: string): string {
  const name = model.replaceAll(/[^A-Za-z0-9._-]+/g, '-').replace(/^[.-]+/, '') || 'model';
  const [, label = chosen.precision] = chosen.id.split('/');
  return `${name}.${label}${extname(path)}`;
}

async function digest(path: string): Promise<{ sha256: string; bytes: number }> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk);
  const { size } = await stat(path);
  return { sha256: hash.digest('hex'), bytes: size };
}
