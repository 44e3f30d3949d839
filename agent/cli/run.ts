import { Command } from 'commander';
import { ConfigError, renderProblem } from '../config/error.ts';
import { isOnTrial } from '../util/agents.ts';
import { codeOf } from '../util/errors.ts';
import type { CliContext, Outcome } from './context.ts';
import { EXIT, exitCodeOf, explain } from './errors.ts';

const EXAMPLES = `
Every key of the configuration can be overridden by a variable, such as
EDGEFIT_MQTT_URL for mqtt.url. Logs go to stderr, one JSON object per line.

Examples:
  agent run                              with /etc/edgefit/agent.yaml
  agent run --config agent.yaml          with another configuration
  EDGEFIT_MQTT_URL=mqtts://hub agent run

Exit codes: 0 stopped by a signal, 1 failed, 78 the configuration cannot be
used (a restart would not help).`;

/** `agent run`: the daemon, until SIGTERM or SIGINT. */
export function runCommand({ io, version, signal }: CliContext, outcome: Outcome): Command {
  return new Command('run')
    .summary('run the daemon (systemd starts it)')
    .description('Runs the daemon: reports over MQTT and takes jobs, until it is told to stop.')
    .option('--config <file>', 'configuration, YAML (default: /etc/edgefit/agent.yaml)')
    .addHelpText('after', EXAMPLES)
    .action(async (flags: { readonly config?: string; readonly debug?: boolean }) => {
      try {
        const { favorMemory } = await import('../daemon/memory.ts');
        favorMemory();
        const { loadConfig } = await import('../config/load.ts');
        const loaded = await loadConfig({ file: flags.config, env: io.env });
        const { runDaemon } = await import('../daemon/run.ts');
        await runDaemon({ loaded, env: io.env, version, signal });
      } catch (error) {
        // Told to stop before it had started.
        if (signal.aborted) return;
        if (exitCodeOf(error) !== EXIT.badInput) throw error;
        for (const line of linesOf(error, flags.debug === true)) io.stderr.write(`${line}\n`);
        // systemd must start the agent before again, which was content with this configuration.
        const goesBack = await isOnTrial(io.env['EDGEFIT_AGENTS']);
        // A disk that was mounted read-only after an error is mended by a restart of the machine, or later.
        const mayPass = codeOf(error) === 'EROFS';
        outcome.code = goesBack || mayPass ? EXIT.failed : EXIT.badConfiguration;
      }
    });
}

/** Every problem of the configuration on a line of its own; anything else as usual. */
function linesOf(error: unknown, debug: boolean): readonly string[] {
  if (debug || !(error instanceof ConfigError)) return [explain(error, debug)];
  return error.problems.map((problem) => `agent: ${renderProblem(problem)}`);
}
