import { generateKeyPairSync, sign } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { hashPassword } from '../../../../agent/dashboard/server/access/passwords.ts';
import { writeUsers } from '../../../../agent/dashboard/server/access/users.ts';
import { openLevelStore } from '../../../../agent/dashboard/server/history/level-store.ts';
import {
  startDashboard,
  type Dashboard,
  type DashboardSettings,
} from '../../../../agent/dashboard/server/serve.ts';
import { parseBrokerUrl } from '../../../../agent/fleet/broker-url.ts';
import type { Signer } from '../../../../agent/fleet/protocol/signed.ts';

const HOUR = 3_600_000;

export const USERS = {
  ada: { role: 'operator', password: 'ada-password' },
  vic: { role: 'viewer', password: 'vic-password' },
} as const;
export type UserName = keyof typeof USERS;

/** A folder with the users of the tests. */
export async function stateFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'edgefit-dashboard-'));
  const users = Object.entries(USERS).map(async ([name, { role, password }]) => ({
    name,
    role,
    password: await hashPassword(password),
  }));
  await writeUsers(join(folder, 'users.json'), await Promise.all(users));
  return folder;
}

export const removeFolder = (folder: string) => rm(folder, { recursive: true, force: true });

/** A key that signs, with the id that its public half has in a keyring of the test's. */
export function testSigner(): { readonly signer: Signer; readonly public: string } {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const hex = publicKey.export({ format: 'der', type: 'spki' }).subarray(-32).toString('hex');
  const signer = { keyId: hex, sign: (bytes: Uint8Array) => sign(null, bytes, privateKey) };
  return { signer, public: hex };
}

export interface TestDashboard extends Dashboard {
  readonly warnings: readonly string[];
}

/** A real server on a free port, with the store in the folder. */
export async function openDashboard(
  folder: string,
  port: number,
  rest: Partial<DashboardSettings> = {},
): Promise<TestDashboard> {
  const warnings: string[] = [];
  const warn = (message: string) => warnings.push(message);
  const { address } = parseBrokerUrl(`mqtt://127.0.0.1:${port}`);
  const dashboard = await startDashboard({
    version: '9.9.9',
    broker: { address },
    timeoutMs: 5000,
    clientId: `dashboard-test-${process.hrtime.bigint()}`,
    host: '127.0.0.1',
    port: 0,
    publicUrl: null,
    isInsecure: false,
    tls: null,
    proxyFrom: [],
    proxy: null,
    usersFile: join(folder, 'users.json'),
    pageFolder: join(folder, 'page'),
    signers: [],
    session: { idleMs: HOUR, totalMs: 10 * HOUR },
    openHistory: () =>
      openLevelStore({
        folder: join(folder, 'history'),
        rawMs: 48 * HOUR,
        keepMs: 720 * HOUR,
        maxBytes: 2 ** 30,
        nowMs: Date.now,
        warn,
      }),
    log: {
      info: () => undefined,
      warn: (fields, message) => warn(`${message} ${JSON.stringify(fields)}`),
    },
    ...rest,
  });
  return { ...dashboard, warnings };
}

/** A browser: keeps its cookie and its token. */
export class Client {
  readonly #url: string;
  #cookie = '';
  csrf = '';

  constructor({ url }: Dashboard) {
    this.#url = url;
  }

  get cookie(): string {
    return this.#cookie;
  }

  fetch(path: string, init: RequestInit = {}): Promise<Response> {
    const headers = new Headers(init.headers);
    if (this.#cookie !== '') headers.set('cookie', this.#cookie);
    const url = new URL(path, this.#url);
    return fetch(url, { ...init, headers, signal: init.signal ?? AbortSignal.timeout(20_000) });
  }

  async get(path: string): Promise<{ status: number; body: Record<string, unknown> }> {
    return answerOf(await this.fetch(path));
  }

  async post(
    path: string,
    body: unknown = {},
    headers: Record<string, string> = {},
  ): Promise<{ status: number; body: Record<string, unknown>; headers: Headers }> {
    const response = await this.fetch(path, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-csrf-token': this.csrf, ...headers },
      body: JSON.stringify(body),
    });
    return { ...(await answerOf(response)), headers: response.headers };
  }

  async login(name: UserName): Promise<this> {
    const { password } = USERS[name];
    const { status, body, headers } = await this.post('/api/login', { user: name, password });
    if (status !== 200) throw new Error(`login: ${status} ${JSON.stringify(body)}`);
    this.#cookie = (headers.get('set-cookie') ?? '').split(';')[0] ?? '';
    this.csrf = String(body['csrf']);
    return this;
  }
}

async function answerOf(response: Response) {
  const text = await response.text();
  const body = text.startsWith('{') ? (JSON.parse(text) as Record<string, unknown>) : { text };
  return { status: response.status, body };
}

/** Waits until it is so; fails after a while. */
export async function until<T>(
  what: string,
  look: () => Promise<T | null | undefined | false> | T | null | undefined | false,
  timeoutMs = 10_000,
): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  while (Date.now() < deadline) {
    // oxlint-disable-next-line no-await-in-loop -- polling
    const found = await look();
    if (found !== null && found !== undefined && found !== false) return found;
    // oxlint-disable-next-line no-await-in-loop -- polling
    await sleep(50);
  }
  throw new Error(`waited in vain: ${what}`);
}
