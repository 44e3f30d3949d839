import { createInterface } from 'node:readline';
import { Command, Option } from 'commander';
import type { Role } from '../../contracts/dashboard.ts';
import { readNamedText } from '../../util/read.ts';
import type { CliContext } from '../context.ts';
import { UsageError } from '../errors.ts';
import { writeJson } from '../output.ts';
import { storeOptions } from './flags.ts';

interface Flags {
  readonly config?: string;
  readonly state?: string;
  readonly users?: string;
  readonly role?: Role;
  readonly passwordFile?: string;
  readonly json?: boolean;
}

/** They repeat those of the contract, whose schemas cost more time to load than `--help` may take. */
export const roleChoices = ['viewer', 'operator'] as const satisfies readonly Role[];

const MIN_PASSWORD = 10;
const MAX_PASSWORD = 1024;

const EXAMPLES = `
The password is asked for at a terminal, else read from --password-file or the
first line of stdin; it is never an argument. A dashboard that runs takes up
changes within a second.

Examples:
  agent dashboard user add ada --role operator
  agent dashboard user add wall --role viewer --password-file wall.txt

Exit codes: 0 done, 1 failed, 2 bad usage or input.`;

const helpWith = (example: string) => `
Examples:
  agent dashboard user ${example}

Exit codes: 0 done, 1 failed, 2 bad usage or input.`;

/** `agent dashboard user add|remove|ls` */
export function userCommand(context: CliContext): Command {
  return new Command('user')
    .summary('who may log in')
    .description('Who may log in to the dashboard, and who of them may act.')
    .addCommand(addCommand(context))
    .addCommand(removeCommand(context))
    .addCommand(listCommand(context));
}

function withFile(command: Command): Command {
  return storeOptions(command).option('--config <file>', 'configuration of the dashboard, YAML');
}

async function usersFile(flags: Flags, { io }: CliContext): Promise<string> {
  const { readDashboardConfig } = await import('./config-file.ts');
  const { placesOf } = await import('./places.ts');
  const config = await readDashboardConfig(flags.config);
  const stateDir = flags.state ?? config.stateDir;
  return placesOf({ stateDir, usersFile: flags.users ?? config.usersFile }, io.env).users;
}

function addCommand(context: CliContext): Command {
  const command = new Command('add')
    .summary('add a user, or change his role and password')
    .description('Adds a user, or gives one that is there another role and password.')
    .argument('<name>', 'name of the user')
    .addOption(
      new Option('--role <role>', 'what the user may do')
        .choices(roleChoices)
        .makeOptionMandatory(),
    )
    .option('--password-file <file>', 'file that holds the password');
  return withFile(command)
    .addHelpText('after', EXAMPLES)
    .action(async (name: string, flags: Flags) => {
      const server = await import('../../dashboard/server/access/users.ts');
      const { hashPassword } = await import('../../dashboard/server/access/passwords.ts');
      if (!server.USER_NAME.test(name)) {
        throw new UsageError(
          `${JSON.stringify(name)} cannot be a user: use ${server.USER_NAME_RULE}`,
        );
      }
      const file = await usersFile(flags, context);
      await server.readUsers(file);
      const password = await hashPassword(checkPassword(await newPassword(flags)));
      const { role = 'viewer' } = flags;
      let done = 'added';
      await server.changeUsers(file, (users) => {
        const others = users.filter((user) => user.name !== name);
        if (others.length < users.length) done = 'changed';
        return [...others, { name, role, password }];
      });
      context.io.stderr.write(`agent: ${done} ${name}, ${role}, in ${file}\n`);
    });
}

function removeCommand(context: CliContext): Command {
  const command = new Command('remove')
    .summary('remove a user')
    .description('Removes a user; whoever is logged in by that name is logged out.')
    .argument('<name>', 'name of the user')
    .addHelpText('after', helpWith('remove ada'));
  return withFile(command).action(async (name: string, flags: Flags) => {
    const { changeUsers } = await import('../../dashboard/server/access/users.ts');
    const file = await usersFile(flags, context);
    await changeUsers(file, (users) => {
      const others = users.filter((user) => user.name !== name);
      if (others.length < users.length) return others;
      throw new UsageError(`there is no user ${JSON.stringify(name)} in ${file}`);
    });
    context.io.stderr.write(`agent: removed ${name} from ${file}\n`);
  });
}

function listCommand(context: CliContext): Command {
  const command = new Command('ls')
    .summary('list the users')
    .description('Lists the users and their roles; no passwords.')
    .option('--json', 'print them as JSON (edgefit/dashboard-users/1)')
    .addHelpText('after', helpWith('ls --json'));
  return withFile(command).action(async (flags: Flags) => {
    const { readUsers } = await import('../../dashboard/server/access/users.ts');
    const users = await readUsers(await usersFile(flags, context));
    const shown = users.map(({ name, role }) => ({ name, role }));
    if (flags.json === true)
      writeJson(context.io, { schema: 'edgefit/dashboard-users/1', users: shown });
    else for (const { name, role } of shown) context.io.stdout.write(`${name}\t${role}\n`);
  });
}

function checkPassword(password: string): string {
  if (password.length < MIN_PASSWORD) {
    throw new UsageError(`the password is too short: use at least ${MIN_PASSWORD} characters`);
  }
  if (password.length > MAX_PASSWORD) {
    throw new UsageError(`the password is too long: use at most ${MAX_PASSWORD} characters`);
  }
  return password;
}

async function newPassword({ passwordFile }: Flags): Promise<string> {
  if (passwordFile !== undefined) {
    const text = await readNamedText(passwordFile);
    return text.replace(/\r?\n$/, '');
  }
  if (!process.stdin.isTTY) return firstLine();
  const { ask } = await import('../model/passphrase.ts');
  const first = await ask('Password: ');
  if ((await ask('Once more: ')) === first) return first;
  throw new UsageError('the two passwords differ: nothing was written');
}

async function firstLine(): Promise<string> {
  for await (const line of createInterface({ input: process.stdin })) return line;
  throw new UsageError('no password: give --password-file, or write it to stdin');
}
