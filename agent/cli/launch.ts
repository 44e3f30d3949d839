import { prepareStart } from '../util/agents.ts';
import { messageOf } from '../util/errors.ts';
import { shippedPath } from '../util/paths.ts';
import { agentVersion } from '../util/version.ts';

/*
 * Before each start of the daemon systemd/launcher asks here which agent to start: prints its folder.
 * Whatever goes wrong, the installed one can be started.
 */

const [agents = ''] = process.argv.slice(2);
const installed = { folder: shippedPath(), version: agentVersion() };
let folder = installed.folder;
try {
  folder = await prepareStart(agents, installed);
} catch (error) {
  process.stderr.write(
    `edgefit: the installed agent is started, because ${agents} cannot be used: ${messageOf(error)}\n`,
  );
}
process.stdout.write(`${folder}\n`);
