#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { shippedPath } from '../util/paths.ts';
import { tolerateClosedPipe } from './output.ts';
import { runCli } from './program.ts';
import { abortOnSignals } from './signals.ts';

function readVersion(): string {
  const content: unknown = JSON.parse(readFileSync(shippedPath('package.json'), 'utf8'));
  const found = typeof content === 'object' && content !== null && 'version' in content;
  return found ? String(content.version) : 'unknown';
}

tolerateClosedPipe(process.stdout);
tolerateClosedPipe(process.stderr);
process.exitCode = await runCli(process.argv.slice(2), {
  io: { stdout: process.stdout, stderr: process.stderr, env: process.env },
  version: readVersion(),
  signal: abortOnSignals(process),
  loadFit: () => import('../fit/run.ts'),
  demoModel: shippedPath('demo', 'manifest.json'),
});
