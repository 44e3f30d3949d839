// @ts-check
// Builds dist/: agent/ with the TypeScript compiler, the web page of the dashboard with esbuild. Plain
// JavaScript: it runs inside `npm ci`, before anything has been built.
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, renameSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

const root = dirname(import.meta.dirname);
const main = join(root, 'dist/agent/cli/main.js');

/** @type {string} */
let tsc;
try {
  tsc = join(
    dirname(createRequire(import.meta.url).resolve('typescript/package.json')),
    'bin',
    'tsc',
  );
} catch {
  // An install without devDependencies gets its dist/ from the package and cannot build one.
  if (!existsSync(main)) {
    console.error('edgefit: TypeScript is not installed; run npm ci without --omit=dev');
    process.exit(1);
  }
  process.exit(0);
}
// Built beside and swapped in, so that a failed build leaves the last good one in place.
const dist = join(root, 'dist');
const fresh = join(root, 'dist.new');
rmSync(fresh, { recursive: true, force: true });
const result = spawnSync(
  process.execPath,
  [tsc, '-p', 'tsconfig.build.json', '--outDir', 'dist.new'],
  { cwd: root, stdio: 'inherit' },
);
if (result.status !== 0) process.exit(result.status ?? 1);
const { buildPage } = await import('./build-page.js');
await buildPage(join(fresh, 'dashboard'));
rmSync(dist, { recursive: true, force: true });
renameSync(fresh, dist);
chmodSync(main, 0o755);
