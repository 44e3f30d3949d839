import type { Command } from 'commander';

/** The arguments of one call of the program, as somebody would type it. */
export type Call = readonly string[];

const FENCE = /^```(\w*)\n(.*?)^```/gms;
/** Blocks that are not typed: output, files, pictures. */
const NOT_TYPED = ['json', 'yaml', 'text', 'mermaid', 'dockerfile', 'ini', 'conf', 'toml', 'js'];

/**
 * Calls of `agent` in the code blocks of a page. In a block with prompts only their lines are typed; a
 * line that ends in a backslash goes on.
 */
export function callsIn(markdown: string): readonly Call[] {
  return [...markdown.matchAll(FENCE)].flatMap(([, language = '', block = '']) => {
    const lines = block.replaceAll(/\\\n\s*/g, ' ').split('\n');
    const prompted = lines.filter((line) => /^\s*\$ /.test(line));
    if (prompted.length === 0 && NOT_TYPED.includes(language)) return [];
    return (prompted.length === 0 ? lines : prompted).flatMap(callsOfLine);
  });
}

/** A remark stands behind `#`, or in help texts behind two blanks. */
function callsOfLine(line: string): readonly Call[] {
  const typed = line
    .trim()
    .replace(/^\$ /, '')
    .replace(/\s#\s.*$/, '');
  const starts = [...typed.matchAll(/(?<=^|[\s;|&'"(]|npx --no )agent (?=[a-z-])/g)];
  return starts.map(({ index }) => {
    const rest = typed.slice(index + 'agent '.length);
    return wordsOf(rest.split(/ {2,}(?=\S)/)[0] ?? '');
  });
}

/** Up to where another command of the shell begins. */
function wordsOf(text: string): Call {
  const words: string[] = [];
  for (const [word] of text.matchAll(/(?:'[^']*'|"[^"]*"|[^\s'"])+/g)) {
    if (/^([|&;<>)]|2>)/.test(word)) break;
    const end = /[;)]$/.test(word);
    words.push(word.replace(/[;)]+$/, '').replaceAll(/['"]/g, ''));
    if (end) break;
  }
  return words;
}

/** What is wrong with a call: a command, an option or an argument that there is not. */
export function mistakesOf(call: Call, program: Command): readonly string[] {
  let command = program;
  let at = 0;
  for (; at < call.length; at += 1) {
    const below = command.commands.find((one) => one.name() === call[at]);
    if (below === undefined) break;
    command = below;
  }
  const rest = call.slice(at);
  const said = `agent ${call.join(' ')}`;
  const unknown = rest
    .filter((word) => /^--?[a-z]/.test(word))
    .map((word) => word.replace(/=.*$/, ''))
    .filter((word) => !['--help', '-h', '--version', '-V'].includes(word))
    .filter((word) => !command.options.some(({ long, short }) => word === long || word === short));
  const group = command.registeredArguments.length === 0 && command.commands.length > 0;
  const stray = group && rest[0] !== undefined && !rest[0].startsWith('-') ? [rest[0]] : [];
  return [...unknown, ...stray].map((word) => `${said}: no ${word}`);
}
