import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, extname, join, relative, resolve, sep } from 'node:path';
import type { Manifest, PackedFile, SampleSetSpec, VariantSpec } from '../../contracts/manifest.ts';
import { manifestSchema } from '../../contracts/manifest.ts';
import type { PackReport } from '../../contracts/pack.ts';
import { readNamedFile } from '../../util/read.ts';
import { makeForEdgeTpu } from './edge-tpu.ts';
import type { EdgeTpuVersions } from './edge-tpu.ts';
import type { PackModelFile, PackVariantFile } from '../../model/manifest/contents.ts';
import { PackError } from './errors.ts';
import { checkOutput, copyTo, listFiles, makeWhole, MANIFEST_FILE } from './folder.ts';
import type { PackHooks, PackRequest, PackTools } from './types.ts';

/**
 * Makes a self-contained package folder: the model, its variants, the samples that are named, labels,
 * and a manifest with the length and sha256 of every file. The same input gives the same bytes. The
 * folder is there complete or not at all. Throws PackError, FileError, SampleError.
 */
export async function packModel(
  request: PackRequest,
  tools: PackTools,
  hooks: PackHooks,
): Promise<PackReport> {
  const { source, output } = request;
  const version = versionOf(request);
  const name = nameOf(request);
  await checkOutput(output, request.replace);
  refuseInside(output, request);
  await checkLabels(request.labels ?? source.labels);
  const scratch = await mkdtemp(join(tmpdir(), 'edgefit-pack-'));
  try {
    const made = await makeForEdgeTpu(request, join(scratch, 'edgetpu'), tools, hooks);
    return await makeWhole(output, async (folder) => {
      const manifest = await fill(folder, { ...request, name, version }, made, tools, hooks);
      const text = `${JSON.stringify(manifest, null, 2)}\n`;
      await writeFile(join(folder, MANIFEST_FILE), text);
      const { files = [], variants = [] } = manifest;
      return {
        schema: 'edgefit/pack/1',
        output,
        manifest: MANIFEST_FILE,
        name,
        version,
        sha256: createHash('sha256').update(text).digest('hex'),
        bytes: files.reduce((sum, { bytes }) => sum + bytes, Buffer.byteLength(text)),
        files,
        variants,
        samples: {
          calibration: source.calibration?.count ?? null,
          evaluation: source.evaluation?.count ?? null,
        },
        ...(made.compiler === undefined ? {} : { compiler: made.compiler }),
        warnings: [...new Set([...source.warnings, ...made.warnings])],
      };
    });
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** What devices compare, and what stands in file names and topics. */
const VERSION = /^[A-Za-z0-9][A-Za-z0-9._+-]{0,63}$/;

function versionOf({ version, source }: PackRequest): string {
  const found = version ?? source.version;
  if (found === null) {
    const message = 'the manifest names no version: give --package-version, such as 1.0.0';
    throw new PackError('no-version', message);
  }
  if (VERSION.test(found)) return found;
  const rule = '1 to 64 of A-Z a-z 0-9 . _ + and -';
  throw new PackError('no-version', `the version "${found}" cannot be used: take ${rule}`);
}

/** A repository takes no other; a manifest's own name is left alone until it is published. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

function nameOf({ name, source }: PackRequest): string {
  if (name !== undefined && !NAME.test(name)) {
    const rule = '1 to 64 of A-Z a-z 0-9 . _ and -, first a letter or digit';
    throw new PackError(
      'bad-name',
      `the name ${JSON.stringify(name)} cannot be used: take ${rule}`,
    );
  }
  const found = name ?? source.name;
  if (found.trim() !== '') return found;
  throw new PackError('bad-name', 'a package needs a name: give one with --name');
}

/** Before the long work: the labels are copied last. */
async function checkLabels(path: string | null): Promise<void> {
  if (path === null) return;
  await readNamedFile(path);
}

/** Replacing the folder would take away what is being packed. */
function refuseInside(output: string, { source, labels }: PackRequest): void {
  const { model, variants, calibration, evaluation } = source;
  const used = [model, ...variants].map(({ path }) => path);
  const others = [labels ?? source.labels, calibration?.path, evaluation?.path];
  for (const path of [...used, ...others]) {
    if (path === null || path === undefined) continue;
    const way = relative(resolve(output), resolve(path));
    if (way.split(sep)[0] === '..') continue;
    const message = `${path} lies in ${output}, which is to be made: name another folder with -o`;
    throw new PackError('output-inside', message);
  }
}

type Named = PackRequest & { readonly name: string; readonly version: string };

/** Writes all but the manifest, which it returns. */
async function fill(
  folder: string,
  request: Named,
  made: EdgeTpuVersions,
  tools: PackTools,
  hooks: PackHooks,
): Promise<Manifest> {
  const { source, name, version } = request;
  hooks.progress({ phase: 'copying the model' });
  const model = await copyModel(folder, 'model', source.model, new Set());
  const variants = await copyVariants(folder, [...made.variants, ...source.variants]);
  hooks.progress({ phase: 'copying samples' });
  const samples = await copySamples(folder, request, tools);
  const labels = request.labels ?? source.labels;
  const labelsName = labels === null ? undefined : `labels${extname(labels) || '.txt'}`;
  if (labels !== null && labelsName !== undefined) await copyTo(labels, join(folder, labelsName));
  hooks.signal.throwIfAborted();
  hooks.progress({ phase: 'hashing' });
  const files = await listFiles(folder);
  const gates = { ...source.gates, ...request.gates };
  // Read as a device will read it: what it would refuse is not handed out.
  return manifestSchema.parse({
    schema: 'edgefit/model/1',
    name,
    version,
    ...source.extra,
    model,
    inputs: source.inputs,
    ...(source.task === null ? {} : { task: source.task }),
    ...(labelsName === undefined ? {} : { labels: labelsName }),
    ...(Object.keys(samples).length === 0 ? {} : { samples }),
    ...(variants.length === 0 ? {} : { variants: variants.map((one) => withDigest(one, files)) }),
    ...(Object.keys(gates).length === 0 ? {} : { gates }),
    files,
  });
}

function withDigest(spec: VariantSpec, files: readonly PackedFile[]): VariantSpec {
  const found = files.find(({ path }) => path === spec.path);
  return { ...spec, ...(found && { sha256: found.sha256, bytes: found.bytes }) };
}

/** Copies a model with the files beside it; returns its path in the package. */
async function copyModel(
  folder: string,
  place: string,
  { path, companions }: PackModelFile,
  taken: Set<string>,
): Promise<string> {
  // Only the model itself may be renamed: it refers to the others by their names.
  const file = freeName(safeName(basename(path)), taken);
  const own = companions.length === 0 || place === 'model' ? place : `${place}/${file}.files`;
  await copyTo(path, join(folder, own, file));
  for (const location of companions) {
    // oxlint-disable-next-line no-await-in-loop -- one large file at a time
    await copyTo(join(dirname(path), location), join(folder, own, location));
  }
  return `${own}/${file}`;
}

async function copyVariants(
  folder: string,
  variants: readonly PackVariantFile[],
): Promise<readonly VariantSpec[]> {
  const taken = new Set<string>();
  const copied: VariantSpec[] = [];
  for (const variant of variants) {
    // oxlint-disable-next-line no-await-in-loop -- one large file at a time
    const path = await copyModel(folder, 'variants', variant, taken);
    copied.push({ path, ...variant.spec });
  }
  return copied;
}

/** A set that both purposes share is copied once. */
async function copySamples(
  folder: string,
  { source: { calibration, evaluation, inputs } }: PackRequest,
  { copySamples: copy }: PackTools,
): Promise<{ calibration?: SampleSetSpec; evaluation?: SampleSetSpec }> {
  const target = join(folder, 'samples');
  if (calibration === null && evaluation === null) return {};
  await mkdir(target, { recursive: true });
  const put = async (set: SampleSetSpec, name: string) => {
    const copied = await copy(set, inputs, { folder: target, name });
    return { ...copied, path: `samples/${copied.path}` };
  };
  const same =
    calibration?.path === evaluation?.path &&
    (calibration?.from ?? 0) === (evaluation?.from ?? 0) &&
    calibration?.to === evaluation?.to;
  if (calibration !== null && same) {
    const both = await put(calibration, 'samples');
    return { calibration: both, evaluation: both };
  }
  return {
    ...(calibration === null ? {} : { calibration: await put(calibration, 'calibration') }),
    ...(evaluation === null ? {} : { evaluation: await put(evaluation, 'evaluation') }),
  };
}

function safeName(name: string): string {
  return name.replaceAll(/[^A-Za-z0-9._-]+/g, '-').replace(/^[.-]+/, '') || 'model';
}

function freeName(name: string, taken: Set<string>): string {
  const end = extname(name);
  let free = name;
  for (let at = 2; taken.has(free); at += 1)
    free = `${name.slice(0, name.length - end.length)}-${at}${end}`;
  taken.add(free);
  return free;
}
