#!/usr/bin/env node
import { fileError } from '../util/files.ts';
import { shippedPath } from '../util/paths.ts';
import { agentVersion } from '../util/version.ts';
import { EXIT } from './errors.ts';
import { onWriteError } from './output.ts';
import { runCli } from './program.ts';
import { mqttReporting } from './reporting.ts';
import { abortOnSignals } from './signals.ts';

onWriteError(process.stdout, (error) => {
  process.stderr.write(`agent: ${fileError('write', 'the result to stdout', error).message}\n`);
  // Whatever the command says of itself meanwhile: its result has not arrived.
  process.once('exit', () => (process.exitCode = EXIT.failed));
});
// There is nowhere left to complain.
onWriteError(process.stderr, () => (process.exitCode = EXIT.failed));
const io = { stdout: process.stdout, stderr: process.stderr, env: process.env };
const version = agentVersion();
process.exitCode = await runCli(process.argv.slice(2), {
  io,
  version,
  signal: abortOnSignals(process),
  loadFit: () => import('../fit/run.ts'),
  demo: {
    onnx: shippedPath('demo', 'manifest.json'),
    tflite: shippedPath('demo', 'manifest-tflite.json'),
    runtimesHere: async () =>
      (await (await import('../hardware/probe.ts')).probe()).profile.runtimes,
  },
  reporting: mqttReporting(io, version),
});
