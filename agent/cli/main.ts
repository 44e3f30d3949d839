#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { shippedPath } from '../util/paths.ts';
import { tolerateClosedPipe } from './output.ts';
import { runCli } from './program.ts';
import { mqttReporting } from './reporting.ts';
import { abortOnSignals } from './signals.ts';

function readVersion(): string {
  const content: unknown = JSON.parse(readFileSync(shippedPath('package.json'), 'utf8'));
  const found = typeof content === 'object' && content !== null && 'version' in content;
  return found ? String(content.version) : 'unknown';
}

tolerateClosedPipe(process.stdout);
tolerateClosedPipe(process.stderr);
const io = { stdout: process.stdout, stderr: process.stderr, env: process.env };
const version = readVersion();
process.exitCode = await runCli(process.argv.slice(2), {
  io,
  version,
  signal: abortOnSignals(process),
  loadFit: () => import('../fit/run.ts'),
  demoModel: shippedPath('demo', 'manifest.json'),
  reporting: mqttReporting(io, version),
  commands: [
    {
      name: 'probe',
      summary: 'show what this machine is and what is worth trying on it',
      load: async () => (await import('./probe.ts')).probeCommand(),
    },
  ],
});
