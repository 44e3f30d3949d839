// Versions of CUDA and TensorRT. Development images have headers, runtime images only libraries.
import { libraryFolders } from './accelerator.ts';
import { nonsense } from './error.ts';
import {
  foundFact,
  listFolder,
  missFact,
  readFact,
  readOptional,
  type Reading,
} from './facts-log.ts';
import { versionOf } from './jetson-release.ts';

const CUDA = 'jetson.cuda';
const TENSORRT = 'jetson.tensorrt';
const CUDA_FOLDER = '/usr/local/cuda';
const CUDA_TARGETS = ['targets/aarch64-linux/lib', 'targets/sbsa-linux/lib', 'lib64'];
const HEADERS = [
  '/usr/include/aarch64-linux-gnu/NvInferVersion.h',
  '/usr/include/NvInferVersion.h',
  '/usr/local/tensorrt/include/NvInferVersion.h',
];
const DPKG_STATUS = '/var/lib/dpkg/status';
const PARTS = ['MAJOR', 'MINOR', 'PATCH'] as const;

/** The CUDA version: version.json (11 and newer), version.txt (10), else the name of its library. */
export async function readCuda(reading: Reading): Promise<string | null> {
  const optional = { optional: true };
  const json = `${CUDA_FOLDER}/version.json`;
  const text = `${CUDA_FOLDER}/version.txt`;
  const told =
    (await readFact(reading, CUDA, json, parseCudaJson, optional)) ??
    (await readFact(reading, CUDA, text, parseCudaText, optional));
  if (told !== null) return told;
  const folders = CUDA_TARGETS.map((folder) => `${CUDA_FOLDER}/${folder}`);
  const why = reading.unknown.get(CUDA) ?? `${json}, ${text} and libcudart.so: no such file`;
  return versionInName(reading, CUDA, folders, /^libcudart\.so\.(\d+(?:\.\d+)+)$/, why);
}

function parseCudaJson(text: string): string {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw nonsense('JSON', text);
  }
  const version = cudaPart(value, 'cuda_nvcc') ?? cudaPart(value, 'cuda_cudart');
  if (version === undefined) throw nonsense('{"cuda_nvcc":{"version":"12.6.68"}}', text);
  return version;
}

function cudaPart(value: unknown, name: string): string | undefined {
  const part = fieldOf(value, name);
  const version = fieldOf(part, 'version');
  return typeof version === 'string' && /^\d+(\.\d+)+$/.test(version) ? version : undefined;
}

function fieldOf(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null) return undefined;
  return Object.entries(value).find(([key]) => key === name)?.[1];
}

function parseCudaText(text: string): string {
  const [, version] = /^CUDA Version (\d+(?:\.\d+)+)\s*$/m.exec(text) ?? [];
  if (version === undefined) throw nonsense('"CUDA Version 10.2.300"', text);
  return version;
}

/** The TensorRT version: its header, else the file name of its library, else its package. */
export async function readTensorrt(reading: Reading): Promise<string | null> {
  const told = await readFact(reading, TENSORRT, HEADERS, parseTensorrtHeader, { optional: true });
  if (told !== null) return told;
  const why = reading.unknown.get(TENSORRT) ?? 'no NvInferVersion.h and no libnvinfer.so.X.Y.Z';
  const form = /^libnvinfer\.so\.(\d+(?:\.\d+)+)$/;
  const named = await versionInName(reading, TENSORRT, libraryFolders('arm64'), form, why);
  if (named !== null) return named;
  const status = await readOptional(reading.tree, DPKG_STATUS);
  const version = status === null ? null : versionOf(status, /^libnvinfer\d+$/);
  if (version === null) return null;
  foundFact(reading, TENSORRT, DPKG_STATUS);
  return version.split('-')[0] ?? null;
}

/** From 10.11 on `NV_TENSORRT_MAJOR` is another macro, with the number in that one's definition. */
export function parseTensorrtHeader(text: string): string {
  const defined = new Map(
    [...text.matchAll(/^\s*#\s*define\s+(\w+)\s+(\w+)/gm)].map(([, name = '', value = '']) => [
      name,
      value,
    ]),
  );
  const numbers = PARTS.map((part) => {
    const value = defined.get(`NV_TENSORRT_${part}`) ?? '';
    return defined.get(value) ?? value;
  });
  if (!numbers.every((number) => /^\d+$/.test(number))) {
    throw nonsense('#define NV_TENSORRT_MAJOR, _MINOR and _PATCH', text);
  }
  return numbers.join('.');
}

/** The longest version in the names of files of a form; `why` is noted when there is none. */
async function versionInName(
  reading: Reading,
  fact: string,
  folders: readonly string[],
  form: RegExp,
  why: string,
): Promise<string | null> {
  for (const folder of folders) {
    // oxlint-disable-next-line no-await-in-loop -- a handful of folders, the first wins
    const names = await listFolder(reading, fact, folder, form);
    const [longest] = names.toSorted((a, b) => b.length - a.length);
    if (longest === undefined) continue;
    foundFact(reading, fact, `${folder}/${longest}`);
    return form.exec(longest)?.[1] ?? null;
  }
  missFact(reading, fact, why);
  return null;
}
