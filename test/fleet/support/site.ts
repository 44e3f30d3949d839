import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { publishAgent } from '../../../agent/deploy/agents/publish.ts';
import type { SigningKey } from '../../../agent/deploy/key-file.ts';
import { publishPackage } from '../../../agent/deploy/publish.ts';
import type { Roles } from '../../../agent/deploy/tuf/authority.ts';
import { changeTargets, createRepository } from '../../../agent/deploy/tuf/repository.ts';
import { signDocument } from '../../../agent/fleet/protocol/signed.ts';
import { serveFolder, type FileServer } from '../../deploy/support/file-server.ts';
import { newKey } from '../../deploy/support/keys.ts';
import { tinyModel } from '../../support/tiny-onnx.ts';

const DAY_MS = 86_400_000;

/** An operator with a repository served over HTTP, and the keys that go with it. */
export class Site {
  readonly roots = [newKey()];
  readonly targets = newKey();
  readonly online = newKey();
  readonly operator = newKey();
  readonly folder: string;
  readonly server: FileServer;
  #counter = 0;

  private constructor(folder: string, server: FileServer) {
    this.folder = folder;
    this.server = server;
  }

  static async open(): Promise<Site> {
    const folder = await mkdtemp(join(tmpdir(), 'edgefit-site-'));
    const site = new Site(folder, await serveFolder(join(folder, 'repository')));
    await createRepository(site.#options(), site.#roles());
    await changeTargets(site.#options(), {
      documents: { keys: [site.operator.public], threshold: 1 },
    });
    return site;
  }

  async close(): Promise<void> {
    await this.server.close();
    await rm(this.folder, { recursive: true, force: true });
  }

  get url(): string {
    return this.server.url;
  }

  /** Makes a state folder believe this site. */
  async enrol(state: string): Promise<void> {
    await mkdir(join(state, 'tuf'), { recursive: true });
    const root = await readFile(join(this.folder, 'repository', 'metadata', '1.root.json'));
    await writeFile(join(state, 'tuf', 'root.json'), root);
  }

  /** Publishes a package with a real, tiny model; `manifest` adds to its manifest. */
  async publish(
    version: string,
    manifest: Readonly<Record<string, unknown>> = {},
    name = 'kws',
    files: Readonly<Record<string, Uint8Array>> = {},
  ) {
    const packageFolder = join(this.folder, `package-${name}-${version}`);
    await mkdir(packageFolder, { recursive: true });
    await writeFile(join(packageFolder, 'model.onnx'), dense(Number.parseFloat(version)));
    for (const [path, bytes] of Object.entries(files)) {
      // oxlint-disable-next-line no-await-in-loop -- one or two
      await writeFile(join(packageFolder, path), bytes);
    }
    const whole = { schema: 'edgefit/model/1', name, version, model: 'model.onnx', ...manifest };
    await writeFile(join(packageFolder, 'manifest.json'), JSON.stringify(whole));
    return this.publishFolder(packageFolder, name, version);
  }

  /** Publishes a package that is there. */
  async publishFolder(packageFolder: string, name: string, version: string) {
    const options = { ...this.#options(), packageFolder, model: name, version };
    const { releaseCounter } = await publishPackage(options);
    return { name, version, releaseCounter };
  }

  /** Lets these keys sign documents too, any one of them alone. */
  async trust(...keys: readonly string[]): Promise<void> {
    const documents = { keys: [this.operator.public, ...keys], threshold: 1 };
    await changeTargets(this.#options(), { documents });
  }

  /** Publishes an archive of an agent. */
  async publishAgent(archive: string) {
    const { version, releaseCounter } = await publishAgent({ ...this.#options(), archive });
    return { version, releaseCounter };
  }

  /** A signed job; what is given replaces what a good one has. */
  job(
    jobId: string,
    job: Readonly<Record<string, unknown>>,
    key: SigningKey = this.operator,
  ): string {
    return JSON.stringify(signDocument({ ...this.part(), type: 'job', jobId, ...job }, [key]));
  }

  /** What every signed part has. */
  part() {
    this.#counter += 1;
    const expires = new Date(Date.now() + DAY_MS).toISOString();
    return { deviceId: 'pi-7', counter: this.#counter, expires };
  }

  #options() {
    const keys = [...this.roots, this.targets, this.online];
    return { folder: join(this.folder, 'repository'), keys, nowMs: Date.now() };
  }

  #roles(): Roles {
    return {
      root: { keys: this.roots.map((key) => key.public), threshold: 1 },
      targets: { keys: [this.targets.public], threshold: 1 },
      snapshot: { keys: [this.online.public], threshold: 1 },
      timestamp: { keys: [this.online.public], threshold: 1 },
    };
  }
}

/** One dense layer, 8 to 4; the weights tell versions apart. */
export function dense(scale: number): Uint8Array {
  const weights = Float32Array.from({ length: 32 }, (_, at) => scale * Math.sin(at + 1));
  return tinyModel({
    inputs: [{ name: 'x', shape: [1, 8] }],
    outputs: [{ name: 'y', shape: [1, 4] }],
    nodes: [{ op: 'MatMul', inputs: ['x', 'w'], outputs: ['y'] }],
    weights: [{ name: 'w', shape: [8, 4], data: weights }],
  });
}
