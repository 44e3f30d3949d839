import { execFileSync } from 'node:child_process';
import { cpSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { shippedPath } from '../../agent/util/paths.ts';

/** Put in front of the command line of an agent. */
export interface AgentChange {
  readonly before?: string;
}

/** Makes archives of the built agent under other versions. */
export class AgentArchives {
  readonly #folder: string;
  readonly #home: string;

  constructor(folder: string) {
    this.#folder = folder;
    this.#home = join(folder, 'home');
    cpSync(shippedPath('dist', 'agent'), join(this.#home, 'dist', 'agent'), {
      recursive: true,
      filter: (path) => !path.endsWith('.map'),
    });
    cpSync(shippedPath('hardware-profiles'), join(this.#home, 'hardware-profiles'), {
      recursive: true,
    });
  }

  /** Path of a new archive. */
  make(version: string, { before = '' }: AgentChange = {}): string {
    const home = this.#home;
    const manifest: unknown = JSON.parse(readFileSync(shippedPath('package.json'), 'utf8'));
    write(home, 'package.json', { ...Object(manifest), version });
    const platform = `${process.platform}-${process.arch}`;
    write(home, 'agent-package.json', { schema: 'edgefit/agent-package/1', version, platform });
    const main = readFileSync(shippedPath('dist/agent/cli/main.js'), 'utf8');
    writeFileSync(join(home, 'dist/agent/cli/real-main.js'), main);
    writeFileSync(
      join(home, 'dist/agent/cli/main.js'),
      `${before}\nawait import('./real-main.js');\n`,
    );
    const archive = join(this.#folder, `agent-${version}.tar.gz`);
    tar(home, archive);
    return archive;
  }
}

function write(home: string, name: string, content: object): void {
  writeFileSync(join(home, name), JSON.stringify(content));
}

/** As scripts/build-deb.js does. */
export function tar(folder: string, archive: string, format = 'ustar'): void {
  execFileSync('tar', ['-czf', archive, `--format=${format}`, '-C', folder, '.']);
}

/** The archives of tests have no dependencies of their own. */
export function lendDependencies(state: string): void {
  symlinkSync(shippedPath('node_modules'), join(state, 'node_modules'));
}
