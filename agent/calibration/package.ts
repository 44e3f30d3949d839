import { open, stat } from 'node:fs/promises';
import { basename, extname, join, resolve } from 'node:path';
import type {
  Gates,
  InputSpec,
  Manifest,
  SampleSetSpec,
  TaskSpec,
  VariantSpec,
} from '../contracts/manifest.ts';
import { manifestSchema } from '../contracts/manifest.ts';
import { misspeltKeys } from '../model/manifest/misspelt.ts';
import { parseManifest, withoutMark } from '../model/manifest/parse.ts';
import { resolveManifest } from '../model/manifest/resolve.ts';
import { checkPlainFile, fileError } from '../util/files.ts';

/** A model and what is known about feeding and judging it. Every path is absolute. */
export interface ModelPackage {
  readonly name: string;
  readonly modelPath: string;
  readonly version: string | null;
  /** Null for a plain model file. */
  readonly manifestPath: string | null;
  readonly inputs: Readonly<Record<string, InputSpec>>;
  readonly task: TaskSpec | null;
  readonly calibration: SampleSetSpec | null;
  readonly evaluation: SampleSetSpec | null;
  /** Quantized versions by others, for comparison only. */
  readonly published: Readonly<Record<string, string>>;
  /** Versions that are ready to run. */
  readonly variants: readonly VariantSpec[];
  /** What a version must keep. */
  readonly gates: Gates;
  /** A file with the names of the classes. */
  readonly labels: string | null;
  /** Fields that are not for who fits: those this program does not know, and the policy of devices. */
  readonly extra: Readonly<Record<string, unknown>>;
  /** What is odd about the manifest, one line each. */
  readonly warnings?: readonly string[];
}

/** A manifest longer than this is refused unread; constants of a megabyte still fit. */
const MAX_MANIFEST_BYTES = 32 * 1024 * 1024;

/** The manifest of a packed package, in its folder. */
export const MANIFEST_FILE = 'manifest.json';

/**
 * Reads what the user named on the command line: a model package manifest, the folder of a packed
 * package, or a plain model file.
 * Told apart by content: a manifest is JSON, no model file starts with a brace.
 * Throws FileError (missing, unreadable) or ManifestError.
 */
export async function readPackage(given: string): Promise<ModelPackage> {
  const inside = join(given, MANIFEST_FILE);
  const path = (await stat(inside).catch(() => null)) === null ? given : inside;
  const text = await readManifestText(path);
  if (text === null) return plainModel(resolve(path));
  const described = fromManifest(resolveManifest(parseManifest(text, path), path), resolve(path));
  const odd = misspeltKeys(JSON.parse(withoutMark(text)));
  return { ...described, warnings: odd.map((line) => `${path}: ${line}`) };
}

async function readManifestText(path: string): Promise<string | null> {
  try {
    await checkPlainFile(path);
    const file = await open(path, 'r');
    try {
      const head = Buffer.alloc(64);
      const { bytesRead } = await file.read(head, 0, head.length, 0);
      const start = head.toString('utf8', 0, bytesRead).replace(/^\uFEFF/, '');
      const { size } = await file.stat();
      if (!start.trimStart().startsWith('{') && extname(path) !== '.json') return null;
      if (size > MAX_MANIFEST_BYTES) {
        throw new Error(`it is larger than ${MAX_MANIFEST_BYTES} bytes, too large for a manifest`);
      }
      return await file.readFile('utf8');
    } finally {
      await file.close();
    }
  } catch (error) {
    throw fileError('read', path, error);
  }
}

function plainModel(modelPath: string): ModelPackage {
  return {
    name: basename(modelPath, extname(modelPath)),
    modelPath,
    version: null,
    manifestPath: null,
    inputs: {},
    task: null,
    calibration: null,
    evaluation: null,
    published: {},
    variants: [],
    gates: {},
    labels: null,
    extra: {},
  };
}

function fromManifest(manifest: Manifest, manifestPath: string): ModelPackage {
  return {
    name: manifest.name,
    modelPath: manifest.model,
    version: manifest.version ?? null,
    manifestPath,
    inputs: manifest.inputs,
    task: manifest.task ?? null,
    calibration: manifest.samples?.calibration ?? null,
    evaluation: manifest.samples?.evaluation ?? null,
    published: manifest.published ?? {},
    variants: manifest.variants ?? [],
    gates: manifest.gates ?? {},
    labels: manifest.labels ?? null,
    extra: Object.fromEntries(
      Object.entries(manifest).filter(
        ([field]) => field === 'policy' || !(field in manifestSchema.shape),
      ),
    ),
  };
}
