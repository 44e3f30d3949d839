import { mkdtemp, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { manifestSchema, type Manifest } from '../../../contracts/manifest.ts';
import type { Release } from '../../../contracts/release.ts';
import type { Slots } from '../../../deploy/slots/slots.ts';
import { move, removeDurably, replaceFile } from '../../../util/durable.ts';
import { makeFolderDurably } from '../../../util/files.ts';
import type { WorkContext } from './context.ts';
import { packageFolder } from './fetch.ts';
import type { Wanted } from './stage.ts';

/** What is needed to measure the accuracy of a model: how it is fed and judged, and with what. */
const keptSchema = manifestSchema.pick({
  schema: true,
  name: true,
  version: true,
  inputs: true,
  task: true,
});

const FILE = 'manifest.json';
/** No version is called so: they have no blank. */
const UNFINISHED = ' unfinished';

/**
 * Takes the evaluation samples out of a package that is not needed any more, unless they are larger
 * than is allowed. After a crash this comes again, and goes on where it was: the samples are in the
 * package, beside their place, or there.
 */
export async function keepEvaluation(model: Wanted, context: WorkContext): Promise<void> {
  const target = folderOf(model.name, model.version, context);
  const made = `${target}${UNFINISHED}`;
  const source = packageFolder(model, context);
  const manifest = await readManifest(join(source, FILE));
  const path = manifest?.samples?.evaluation?.path;
  // Whoever signed the package is trusted with models, not with other files of this device.
  if (manifest === null || path === undefined || !join(source, path).startsWith(`${source}/`))
    return;
  const bytes = await sizeOf(join(source, path));
  if (bytes !== null) {
    if (bytes > context.samplesBytes) return;
    await removeDurably(made);
    await makeFolderDurably(dirname(join(made, path)));
    const { samples } = manifest;
    const kept = { ...keptSchema.parse(manifest), samples: { evaluation: samples?.evaluation } };
    await replaceFile(join(made, FILE), JSON.stringify({ ...kept, model: 'none' }));
    await move(join(source, path), join(made, path));
  }
  if ((await sizeOf(join(made, path))) === null) return;
  await removeDurably(target);
  await move(made, target);
}

/**
 * A manifest by which a release is measured with the samples of its package, made for the moment;
 * undefined where none are kept.
 */
export async function evaluationManifest(
  slots: Slots,
  { model, version, digest, file }: Release,
  context: WorkContext,
): Promise<string | undefined> {
  const folder = folderOf(model, version, context);
  const kept = await readManifest(join(folder, FILE));
  const evaluation = kept?.samples?.evaluation;
  if (kept === null || evaluation === undefined) return undefined;
  const made = await mkdtemp(join(context.folders.scratch, 'bench-'));
  const whole = {
    ...kept,
    model: join(slots.releaseFolder(digest), file),
    samples: { evaluation: { ...evaluation, path: join(folder, evaluation.path) } },
  };
  const path = join(made, FILE);
  await writeFile(path, JSON.stringify(whole));
  return path;
}

/** Removes the samples of versions that are neither current nor previous. */
export async function dropEvaluations(
  slots: Slots,
  model: string,
  context: WorkContext,
): Promise<void> {
  const used = new Set<string>();
  for (const digest of [await slots.current(), await slots.previous()]) {
    // oxlint-disable-next-line no-await-in-loop -- two
    if (digest !== null) used.add((await slots.read(digest)).version);
  }
  const folder = join(context.folders.evaluation, model);
  for (const version of await readdir(folder).catch(() => [])) {
    // oxlint-disable-next-line no-await-in-loop -- one or two
    if (!used.has(version)) await removeDurably(join(folder, version));
  }
}

function folderOf(model: string, version: string, { folders }: WorkContext): string {
  return join(folders.evaluation, model, version);
}

async function readManifest(path: string): Promise<Manifest | null> {
  try {
    return manifestSchema.parse(JSON.parse(await readFile(path, 'utf8')));
  } catch {
    // No package any more, or no samples: then the accuracy is not measured here.
    return null;
  }
}

/** Of a file, or of all files of a folder; null when it is not there. */
async function sizeOf(path: string): Promise<number | null> {
  const found = await stat(path).catch(() => null);
  if (found === null || !found.isDirectory()) return found?.size ?? null;
  let bytes = 0;
  for (const entry of await readdir(path, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    // oxlint-disable-next-line no-await-in-loop -- one after the other: there may be thousands
    bytes += (await stat(join(entry.parentPath, entry.name))).size;
  }
  return bytes;
}
