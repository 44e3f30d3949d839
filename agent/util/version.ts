import { readFileSync } from 'node:fs';
import { shippedPath } from './paths.ts';

/** The version in package.json. */
export function agentVersion(): string {
  const content: unknown = JSON.parse(readFileSync(shippedPath('package.json'), 'utf8'));
  const found = typeof content === 'object' && content !== null && 'version' in content;
  return found ? String(content.version) : 'unknown';
}
