/** Text for a terminal: pure functions, widths in characters. */

/** Removes control characters: names from model files must not steer the terminal. */
export function plain(text: string): string {
  return text.replaceAll(/\p{Cc}+/gu, ' ');
}

/** Breaks at blanks; a word longer than the width is cut. */
export function wrap(text: string, width: number): readonly string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of plain(text)
    .split(' ')
    .flatMap((one) => cut(one, width))) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  return [...lines, line];
}

function cut(word: string, width: number): readonly string[] {
  const pieces: string[] = [];
  for (let at = 0; at < word.length; at += width) pieces.push(word.slice(at, at + width));
  return pieces;
}

/** `lead` once, then the text beside it, wrapped under itself. */
export function hang(lead: string, text: string, width: number): readonly string[] {
  const indent = ' '.repeat(lead.length);
  const lines = wrap(text, Math.max(1, width - lead.length));
  return lines.map((line, index) => `${index === 0 ? lead : indent}${line}`.trimEnd());
}

const STYLES = { green: 32, red: 31, bold: 1, dim: 2 } as const;

export type Style = keyof typeof STYLES;

export function styled(text: string, style: Style, color: boolean): string {
  return color ? `\u001B[${STYLES[style]}m${text}\u001B[0m` : text;
}
