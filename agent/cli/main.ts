#!/usr/bin/env node
import { shippedPath } from '../util/paths.ts';
import { agentVersion } from '../util/version.ts';
import { tolerateClosedPipe } from './output.ts';
import { runCli } from './program.ts';
import { mqttReporting } from './reporting.ts';
import { abortOnSignals } from './signals.ts';

tolerateClosedPipe(process.stdout);
tolerateClosedPipe(process.stderr);
const io = { stdout: process.stdout, stderr: process.stderr, env: process.env };
const version = agentVersion();
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
