#!/usr/bin/env node
import { Command } from 'commander';

const program = new Command('agent').description(
  'Fits a trained model to the edge device it will run on.',
);
await program.parseAsync();
