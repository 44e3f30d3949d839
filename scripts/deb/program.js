// @ts-check
// The command line of the built program, as data for completions and the manual page.
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

/**
 * @param {string} root the repository, built
 * @param {string} version
 * @returns {Promise<import('commander').Command>}
 */
export async function builtProgram(root, version) {
  /** @param {string} name */
  const load = (name) => import(pathToFileURL(join(root, 'dist/agent', `${name}.js`)).href);
  /** @type {[typeof import('../../agent/cli/program.ts'), typeof import('../../agent/cli/reporting.ts')]} */
  const [{ buildProgram }, { mqttReporting }] = await Promise.all([
    load('cli/program'),
    load('cli/reporting'),
  ]);
  const silent = { write: () => true };
  const io = { stdout: silent, stderr: silent, env: {} };
  const context = {
    io,
    version,
    signal: new AbortController().signal,
    loadFit: () => Promise.reject(new Error('nothing is run here')),
    demo: { onnx: '', tflite: '', runtimesHere: async () => [] },
    reporting: mqttReporting(io, version),
  };
  return buildProgram(context, { code: 0 });
}

/**
 * @param {string} root the repository, built
 * @param {import('commander').Command} program
 * @returns {Promise<Record<'bash' | 'zsh' | 'fish', string>>}
 */
export async function completions(root, program) {
  /** @type {typeof import('../../agent/cli/completion.ts')} */
  const { completionFor } = await import(
    pathToFileURL(join(root, 'dist/agent/cli/completion.js')).href
  );
  return {
    bash: completionFor('bash', program),
    zsh: completionFor('zsh', program),
    fish: completionFor('fish', program),
  };
}
