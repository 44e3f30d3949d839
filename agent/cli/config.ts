import { Command } from 'commander';
import { renderProblem } from '../config/error.ts';
import type { ConfigProblem } from '../config/error.ts';
import type { LoadedConfig, Origin } from '../config/load.ts';
import type { ConfigCheck, ConfigShow } from '../contracts/config-report.ts';
import type { CliContext, Outcome } from './context.ts';
import { EXIT } from './errors.ts';
import { writeJson } from './output.ts';
import type { Io } from './output.ts';

interface ConfigFlags {
  readonly config?: string;
  readonly json?: true;
}

const EXAMPLES = `
Examples:
  agent config check                     everything wrong, with file and line
  agent config check --config new.yaml   before it is put in place
  agent config show                      what holds, and where it comes from

Exit codes: 0 in order, 1 failed, 2 the configuration cannot be used.`;

const helpOf = (name: string) => `
Examples:
  agent config ${name}
  agent config ${name} --config agent.yaml --json

Exit codes: 0 in order, 1 failed, 2 the configuration cannot be used.`;

/** `agent config check` and `agent config show`. */
export function configCommand({ io }: CliContext, outcome: Outcome): Command {
  const command = new Command('config')
    .summary('check or show the configuration of the daemon')
    .description('Checks or shows the configuration of the daemon.')
    .addHelpText('after', EXAMPLES);
  const withFlags = (name: string, summary: string, schema: string) =>
    command
      .command(name)
      .description(summary)
      .option('--config <file>', 'configuration, YAML (default: /etc/edgefit/agent.yaml)')
      .option('--json', `print it as JSON (${schema})`)
      .addHelpText('after', helpOf(name));
  withFlags(
    'check',
    'Says everything that is wrong, with file, line and key.',
    'edgefit/config-check/1',
  ).action(async (flags: ConfigFlags) => {
    if (!(await check(flags, io))) outcome.code = EXIT.badInput;
  });
  withFlags('show', 'Shows every value and where it comes from.', 'edgefit/config-show/1').action(
    (flags: ConfigFlags) => show(flags, io),
  );
  return command;
}

/** The configuration, and the files it names; throws ConfigError. */
async function loadAll(flags: ConfigFlags, env: Io['env']) {
  const { loadConfig } = await import('../config/load.ts');
  const { foldersOf } = await import('../config/folders.ts');
  const { resolveBroker } = await import('../config/credentials.ts');
  const loaded = await loadConfig({ file: flags.config, env });
  const folders = foldersOf(loaded.config, env);
  return { loaded, folders, broker: await resolveBroker(loaded, env, folders.state) };
}

async function check(flags: ConfigFlags, io: Io): Promise<boolean> {
  const { findConfigFile } = await import('../config/load.ts');
  const { ConfigError } = await import('../config/error.ts');
  const file = findConfigFile({ file: flags.config, env: io.env });
  let problems: readonly ConfigProblem[] = [];
  let warnings: readonly string[] = [];
  try {
    const { broker } = await loadAll(flags, io.env);
    warnings = [...(broker?.exposed ?? []), ...(broker?.aging ?? [])];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    ({ problems } = error);
  }
  const ok = problems.length === 0;
  const report: ConfigCheck = {
    schema: 'edgefit/config-check/1',
    file,
    ok,
    problems: [...problems],
  };
  if (flags.json === true) writeJson(io, report);
  else if (ok) io.stdout.write(`${file ?? 'no file: all defaults'}: in order\n`);
  // Said, not refused: who mounts secrets may not be able to change their modes.
  for (const line of warnings) io.stderr.write(`agent: ${line}\n`);
  if (flags.json !== true)
    for (const problem of problems) io.stderr.write(`agent: ${renderProblem(problem)}\n`);
  return ok;
}

async function show(flags: ConfigFlags, io: Io): Promise<void> {
  const { loaded, folders, broker } = await loadAll(flags, io.env);
  const values = valuesOf(loaded, folders, broker?.origins ?? []);
  if (flags.json === true) {
    const report: ConfigShow = { schema: 'edgefit/config-show/1', file: loaded.file, values };
    writeJson(io, report);
    return;
  }
  const width = Math.max(...values.map(({ key, value }) => key.length + shown(value).length + 2));
  for (const { key, value, from } of values) {
    io.stdout.write(`${`${key}: ${shown(value)}`.padEnd(width)}  # ${from}\n`);
  }
}

const shown = (value: unknown): string => JSON.stringify(value);

/** What is configured, completed by what was found elsewhere: folders, credentials. */
function valuesOf(
  { origins }: LoadedConfig,
  folders: { readonly state: string; readonly runtime: string },
  found: readonly Origin[],
): Origin[] {
  const all = [
    ...origins,
    { key: 'stateDir', value: folders.state, from: 'default' },
    { key: 'runtimeDir', value: folders.runtime, from: 'default' },
    ...found,
  ];
  return all.filter(({ key }, index) => all.findIndex((one) => one.key === key) === index);
}
