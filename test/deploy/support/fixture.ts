import { mkdtemp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SigningKey } from '../../../agent/deploy/key-file.ts';
import { publishPackage } from '../../../agent/deploy/publish.ts';
import type { Roles } from '../../../agent/deploy/tuf/authority.ts';
import { refresh } from '../../../agent/deploy/tuf/refresh.ts';
import { changeTargets, createRepository } from '../../../agent/deploy/tuf/repository.ts';
import type { TrustedTargets } from '../../../agent/deploy/tuf/trusted-targets.ts';
import { serveFolder, type FileServer } from './file-server.ts';
import { newKey } from './keys.ts';

export const NOW_MS = Date.parse('2026-06-01T00:00:00Z');

/** Short waits: a test must not take as long as a bad line. */
export const HASTE = {
  silenceMs: 2000,
  minBytesPerSecond: 1000,
  slowWindowMs: 300,
  tries: 3,
  firstPauseMs: 5,
};

/** A repository of one model and one device that was enrolled with its first root. */
export class Fixture {
  readonly roots = [newKey(), newKey(), newKey()];
  readonly targets = newKey();
  readonly online = newKey();
  readonly operator = newKey();
  readonly signal = AbortSignal.timeout(60_000);
  folder = '';
  repository = '';
  device = '';
  server!: FileServer;

  get keys(): readonly SigningKey[] {
    return [...this.roots, this.targets, this.online];
  }

  get roles(): Roles {
    return {
      root: { keys: this.roots.map((key) => key.public), threshold: 2 },
      targets: { keys: [this.targets.public], threshold: 1 },
      snapshot: { keys: [this.online.public], threshold: 1 },
      timestamp: { keys: [this.online.public], threshold: 1 },
    };
  }

  async start(nowMs = NOW_MS): Promise<void> {
    this.folder = await mkdtemp(join(tmpdir(), 'edgefit-tuf-'));
    this.repository = join(this.folder, 'repository');
    this.device = join(this.folder, 'device');
    await createRepository(this.options(nowMs), this.roles);
    await changeTargets(this.options(nowMs), {
      documents: { keys: [this.operator.public], threshold: 1 },
    });
    await this.publish('1.0.0', 'first', nowMs);
    await mkdir(this.device);
    const root = await readFile(join(this.repository, 'metadata', '1.root.json'));
    await writeFile(join(this.device, 'root.json'), root);
    this.server = await serveFolder(this.repository);
  }

  async stop(): Promise<void> {
    await this.server.close();
    await rm(this.folder, { recursive: true });
  }

  options(nowMs = NOW_MS) {
    return { folder: this.repository, keys: this.keys, nowMs };
  }

  async publish(version: string, content: string, nowMs = NOW_MS) {
    const packageFolder = join(this.folder, `package-${version}`);
    await mkdir(join(packageFolder, 'samples'), { recursive: true });
    await writeFile(join(packageFolder, 'manifest.json'), `{"version":"${version}"}`);
    await writeFile(join(packageFolder, 'samples', 'a.txt'), content);
    return publishPackage({ ...this.options(nowMs), packageFolder, model: 'kws', version });
  }

  refresh(nowMs = NOW_MS): Promise<TrustedTargets> {
    const { device, signal } = this;
    return refresh({ folder: device, url: this.server.url, nowMs, signal, patience: HASTE });
  }

  metadata(name: string): string {
    return join(this.repository, 'metadata', name);
  }
}
