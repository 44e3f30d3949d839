import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { extname, join, relative, sep } from 'node:path';
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { codeOf } from '../../util/errors.ts';
import { fileError } from '../../util/files.ts';

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json; charset=utf-8',
  '.webmanifest': 'application/manifest+json',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
  '.woff2': 'font/woff2',
  '.txt': 'text/plain; charset=utf-8',
};

/** Names that a bundler made from the content never mean anything else. */
const HASHED = /-[A-Z0-9]{8}\.[a-z0-9]+$/;
const FOR_EVER = 'public, max-age=31536000, immutable';
const ASK_FIRST = 'no-cache';
const INDEX = '/index.html';

const brotli = promisify<Buffer, { params: Record<number, number> }, Buffer>(brotliCompress);
const gzipped = promisify<Buffer, { level: number }, Buffer>(gzip);

interface PageFile {
  readonly type: string;
  readonly etag: string;
  readonly cache: string;
  readonly plain: Buffer;
  readonly br: Buffer;
  readonly gzip: Buffer;
}

/** The files of the page, by path of the URL. */
export type PageFiles = ReadonlyMap<string, PageFile>;

async function pageFile(path: string): Promise<PageFile> {
  const plain = await readFile(path);
  const best = { params: { [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY } };
  const [br, gz] = await Promise.all([brotli(plain, best), gzipped(plain, { level: 9 })]);
  return {
    type: TYPES[extname(path)] ?? 'application/octet-stream',
    etag: createHash('sha256').update(plain).digest('base64url').slice(0, 22),
    cache: HASHED.test(path) ? FOR_EVER : ASK_FIRST,
    plain,
    br,
    gzip: gz,
  };
}

/** Reads and compresses every file of a folder; none when there is no folder. */
export async function readPageFiles(folder: string): Promise<PageFiles> {
  try {
    const found = await readdir(folder, { recursive: true, withFileTypes: true });
    const paths = found
      .filter((entry) => entry.isFile() && !entry.name.endsWith('.map'))
      .map((entry) => join(entry.parentPath, entry.name));
    const files = paths.map(
      async (path) =>
        [`/${relative(folder, path).split(sep).join('/')}`, await pageFile(path)] as const,
    );
    return new Map(await Promise.all(files));
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return new Map();
    throw fileError('read', folder, error);
  }
}

function isAccepted(request: FastifyRequest, coding: string): boolean {
  const accepted = (request.headers['accept-encoding'] ?? '').split(',');
  return accepted.some((part) => part.trim().split(';')[0] === coding);
}

/** The same file in the smallest form that the browser takes; each form has a tag of its own. */
function send(file: PageFile, request: FastifyRequest, reply: FastifyReply) {
  const coding = ['br', 'gzip'].find((name) => isAccepted(request, name));
  const etag = `"${file.etag}${coding === undefined ? '' : `-${coding}`}"`;
  reply.headers({ etag, vary: 'accept-encoding', 'cache-control': file.cache });
  if (request.headers['if-none-match'] === etag) return reply.code(304).send();
  reply.type(file.type);
  if (coding === undefined) return reply.send(file.plain);
  return reply.header('content-encoding', coding).send(coding === 'br' ? file.br : file.gzip);
}

/** Views of the page are fragments (`/#/devices/pi-7`), so there is one path for all of them. */
function fileFor(files: PageFiles, path: string): PageFile | undefined {
  return files.get(path === '/' || path === '' ? INDEX : path);
}

/** Of any target that a request may have (RFC 9112, section 3.2): `URL` throws at `//`. */
const PATH = /^(?:https?:\/\/[^/?#]*)?([^?#]*)/i;

const NOT_BUILT = 'The page has not been built (npm run build). The API is at /api.\n';

/** Serves the page from memory. */
export function addPage(app: FastifyInstance, files: PageFiles): void {
  app.get('/*', { config: { access: 'open' } }, (request, reply) => {
    const pathname = PATH.exec(request.url)?.[1] ?? '';
    const file = fileFor(files, pathname);
    if (file !== undefined) return send(file, request, reply);
    if (files.size === 0 && pathname === '/') return reply.type('text/plain').send(NOT_BUILT);
    return reply.callNotFound();
  });
}
