import { Command } from 'commander';
import type { Facts } from '../contracts/facts.ts';
import { probe } from '../hardware/probe.ts';
import { loadProfiles } from '../hardware/profiles.ts';
import { renderFacts } from './probe-table.ts';

interface ProbeFlags {
  readonly json?: true;
  readonly root?: string;
}

const EXAMPLES = `
Examples:
  agent probe                       a table: the board, its limits, its profile
  agent probe --json > facts.json   the same for programs
  agent probe --root recorded/      another machine, from a copy of its files`;

/** `agent probe`: what this machine is, and what is worth trying on it. */
export function probeCommand(): Command {
  return new Command('probe')
    .description('Show what this machine is and which precisions are worth trying on it.')
    .option('--json', 'print the facts as JSON (edgefit/facts/1)')
    .option('--root <folder>', 'read a recorded file tree instead of this machine')
    .option('--debug', 'show where an error came from')
    .addHelpText('after', EXAMPLES)
    .action(async (flags: ProbeFlags) => {
      const facts = await probe({ root: flags.root });
      const text = flags.json ? JSON.stringify(facts, null, 2) : await table(facts);
      process.stdout.write(`${text}\n`);
    });
}

async function table(facts: Facts): Promise<string> {
  const profiles = await loadProfiles();
  const profile = profiles.find(({ id }) => id === facts.profile.id);
  if (profile === undefined) throw new Error(`profile ${facts.profile.id} has vanished`);
  return renderFacts(facts, profile);
}
