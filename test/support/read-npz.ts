import { openPromise } from 'yauzl';

export interface NpyArray {
  readonly descr: string;
  readonly shape: readonly number[];
  /** The values as bytes, row-major. */
  readonly bytes: Buffer;
}

/** Reads an .npz that a test trusts: every array by its name. Not for files from outside. */
export async function readNpz(path: string): Promise<Readonly<Record<string, NpyArray>>> {
  const arrays: Record<string, NpyArray> = {};
  const zip = await openPromise(path, { lazyEntries: true });
  for await (const entry of zip.eachEntry()) {
    const stream = await zip.openReadStreamPromise(entry);
    const chunks: Buffer[] = [];
    for await (const chunk of stream) chunks.push(chunk as Buffer);
    arrays[entry.fileName.replace(/\.npy$/, '')] = parseNpy(Buffer.concat(chunks));
  }
  return arrays;
}

/** NPY format 1.0: magic, version, header length, a Python dictionary, the values. */
function parseNpy(file: Buffer): NpyArray {
  const start = 10 + file.readUInt16LE(8);
  const header = file.toString('latin1', 10, start);
  const descr = /'descr': '([^']+)'/.exec(header)?.[1];
  const shape = /'shape': \(([^)]*)\)/.exec(header)?.[1];
  if (descr === undefined || shape === undefined) throw new Error(`not an NPY header: ${header}`);
  const dims = shape.split(',').filter((part) => part.trim() !== '');
  return { descr, shape: dims.map(Number), bytes: file.subarray(start) };
}
