#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { z } from 'zod';
import { shippedPath } from '../util/paths.ts';

const manifest: unknown = JSON.parse(readFileSync(shippedPath('package.json'), 'utf8'));
const { version } = z.object({ version: z.string() }).parse(manifest);

const program = new Command('agent')
  .description('Fits a trained model to the edge device it will run on.')
  .version(version);
await program.parseAsync();
