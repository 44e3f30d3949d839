import { Command } from 'commander';
import type { CliContext } from './context.ts';
import { packCommand } from './model/pack.ts';
import { initCommand } from './model/init.ts';
import { keygenCommand } from './model/keygen.ts';
import { publishCommand } from './model/publish.ts';
import { serveCommand } from './model/serve.ts';
import { signCommand } from './model/sign.ts';
import { verifyCommand } from './model/verify.ts';

/** `agent model`: packages of models, and the signed repository that devices take them from. */
export function modelCommand(context: CliContext): Command {
  const command = new Command('model')
    .summary('pack, sign, publish, serve and verify models')
    .description('Packages of models, and the signed repository that devices take them from.');
  for (const make of [
    packCommand,
    keygenCommand,
    initCommand,
    publishCommand,
    signCommand,
    serveCommand,
    verifyCommand,
  ]) {
    command.addCommand(make(context));
  }
  return command;
}
