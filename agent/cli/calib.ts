import { Command } from 'commander';
import { clearCommand } from './calib/clear.ts';
import { lsCommand } from './calib/ls.ts';
import { recordCommand } from './calib/record.ts';
import type { CliContext } from './context.ts';

/** `agent calib`: what this device keeps of its application's inputs, to calibrate with. */
export function calibCommand(context: CliContext): Command {
  return new Command('calib')
    .summary("keep a sample of the application's real inputs, to calibrate with")
    .description(
      "Keeps a bounded sample of the application's real inputs on this device, to calibrate with.",
    )
    .addCommand(recordCommand(context))
    .addCommand(lsCommand(context))
    .addCommand(clearCommand(context));
}
