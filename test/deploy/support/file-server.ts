import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';

export interface Exchange {
  readonly path: string;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** What an honest server would send. */
  readonly serve: () => Promise<void>;
}

export interface FileServer {
  readonly url: string;
  /** Paths asked for so far. */
  readonly asked: string[];
  /** Takes over some answers: return false to leave one to the honest server. */
  intercept: (exchange: Exchange) => Promise<boolean> | boolean;
  close(): Promise<void>;
}

/** A real HTTP server over a folder, with ranges, that a test can make lie. */
export async function serveFolder(folder: string): Promise<FileServer> {
  const asked: string[] = [];
  const state: { intercept: FileServer['intercept'] } = { intercept: () => false };
  const server = createServer((request, response) => {
    void answer(request, response).catch(() => response.destroy());
  });
  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = decodeURIComponent((request.url ?? '/').slice(1));
    asked.push(path);
    const serve = () => sendFile(join(folder, path), request, response);
    if (!(await state.intercept({ path, request, response, serve }))) await serve();
  }
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    asked,
    get intercept() {
      return state.intercept;
    },
    set intercept(next) {
      state.intercept = next;
    },
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => {
          resolve();
        });
      }),
  };
}

async function sendFile(path: string, request: IncomingMessage, response: ServerResponse) {
  const bytes = await readFile(path).catch(() => null);
  if (bytes === null) {
    response.writeHead(404).end();
    return;
  }
  const etag = `"${createHash('sha256').update(bytes).digest('hex').slice(0, 16)}"`;
  const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
  const condition = request.headers['if-range'];
  if (from === 0 || (condition !== undefined && condition !== etag)) {
    response.writeHead(200, { 'content-length': bytes.length, etag }).end(bytes);
    return;
  }
  const range = `bytes ${from}-${bytes.length - 1}/${bytes.length}`;
  response
    .writeHead(206, { 'content-length': bytes.length - from, 'content-range': range, etag })
    .end(bytes.subarray(from));
}
