import { Command } from 'commander';
import { addDashboardOptions, type DashboardFlags } from './dashboard/flags.ts';
import { userCommand } from './dashboard/user.ts';
import type { CliContext } from './context.ts';

const EXAMPLES = `
Nobody can log in at first: add a user with agent dashboard user add NAME. It
listens on 127.0.0.1 only until --listen and TLS say otherwise. Without --key
it only shows; what operators do is signed with that key. The broker may also
be named by EDGEFIT_MQTT_URL, _USER, _PASSWORD_FILE, _CA_FILE, _CERT_FILE and
_KEY_FILE.

Examples:
  agent dashboard --mqtt mqtts://hub
  agent dashboard --mqtt mqtts://hub --key ops.key
  agent dashboard --config dashboard.yaml
  agent dashboard user add ada --role operator

Exit codes: 0 stopped by a signal, 1 failed, 2 bad usage or input.`;

/** `agent dashboard`: the web dashboard, until SIGTERM or SIGINT. */
export function dashboardCommand(context: CliContext): Command {
  const command = new Command('dashboard')
    .summary('show the fleet on a web page')
    .description('Serves a web page and an HTTP API that show the fleet, and keeps its history.')
    .enablePositionalOptions()
    // Commands that have subcommands get no such option by themselves.
    .option('--debug', 'show where an error came from');
  return addDashboardOptions(command)
    .addCommand(userCommand(context))
    .addHelpText('after', EXAMPLES)
    .action(async (flags: DashboardFlags) => {
      const { serveDashboard } = await import('./dashboard/serve.ts');
      await serveDashboard(flags, context);
    });
}
