// @ts-check
// Bundles the web page of the dashboard: agent/dashboard/web -> OUT/index.html and OUT/assets/, names
// with a hash of the contents, so that a browser may keep them for ever. Nothing is loaded from
// elsewhere, and nothing stands inline: the page runs under a strict Content-Security-Policy.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';

const web = join(dirname(import.meta.dirname), 'agent/dashboard/web');

/** @param {string} out a folder; made when it is not there */
export async function buildPage(out) {
  const { build } = await import('esbuild');
  const assets = join(out, 'assets');
  mkdirSync(assets, { recursive: true });
  const { metafile } = await build({
    entryPoints: ['main.tsx', 'styles/main.css', 'icon.svg'].map((name) => join(web, name)),
    loader: { '.svg': 'copy' },
    bundle: true,
    splitting: true,
    format: 'esm',
    target: ['es2022', 'chrome123', 'firefox121', 'safari17.5'],
    minify: true,
    legalComments: 'none',
    entryNames: '[name]-[hash]',
    chunkNames: '[name]-[hash]',
    outdir: assets,
    metafile: true,
    logLevel: 'warning',
    jsx: 'automatic',
    jsxImportSource: 'preact',
    tsconfigRaw: '{}',
  });
  const nameOf = (/** @type {string} */ source) => {
    const found = Object.entries(metafile.outputs).find(([, output]) =>
      output.entryPoint?.endsWith(source),
    );
    if (found === undefined) throw new Error(`edgefit: ${source} was not bundled`);
    return basename(found[0]);
  };
  const html = readFileSync(join(web, 'index.html'), 'utf8')
    .replace('main.js', nameOf('main.tsx'))
    .replace('main.css', nameOf('main.css'))
    .replace('icon.svg', nameOf('icon.svg'));
  writeFileSync(join(out, 'index.html'), html);
}

if (process.argv[1] === import.meta.filename) {
  await buildPage(resolve(process.argv[2] ?? 'dist/dashboard'));
}
