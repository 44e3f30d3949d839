import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';
import type { FastifyInstance } from 'fastify';

const brotli = promisify<Buffer, { params: Record<number, number> }, Buffer>(brotliCompress);
const gzipped = promisify<Buffer, { level: number }, Buffer>(gzip);

/** Smaller answers gain nothing. The session, whose token nobody may guess by length, is far smaller. */
const MIN_BYTES = 2048;
/** Made anew for every answer, so fast matters more than small. */
const BROTLI = { params: { [constants.BROTLI_PARAM_QUALITY]: 4 } };
const GZIP = { level: 4 };

function codingOf(header: string | undefined): 'br' | 'gzip' | null {
  const accepted = (header ?? '').split(',').map((part) => part.trim().split(';')[0]);
  if (accepted.includes('br')) return 'br';
  return accepted.includes('gzip') ? 'gzip' : null;
}

/** Compresses large answers of the API, in libuv's threads. */
export function addCompression(app: FastifyInstance): void {
  app.addHook<string | Buffer | null>('onSend', async (request, reply, payload) => {
    const isLarge = typeof payload === 'string' && payload.length >= MIN_BYTES;
    const coding = codingOf(request.headers['accept-encoding']);
    if (!isLarge || coding === null || reply.hasHeader('content-encoding')) return payload;
    const bytes = Buffer.from(payload);
    const small = coding === 'br' ? await brotli(bytes, BROTLI) : await gzipped(bytes, GZIP);
    reply.headers({ 'content-encoding': coding, vary: 'accept-encoding' });
    reply.header('content-length', small.length);
    return small;
  });
}
