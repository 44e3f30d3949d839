import { readdir, stat } from 'node:fs/promises';
import { isAbsolute, join, normalize, sep } from 'node:path';
import { codeOf } from '../../util/errors.ts';
import { fileError } from '../../util/files.ts';
import { readNamedText } from '../../util/read.ts';
import { SampleError } from './error.ts';

/** A file of a sample folder with its label, if it has one. */
export interface LabelledFile {
  /** Relative to the folder. */
  readonly file: string;
  readonly label?: number;
}

const LABELS = 'labels.csv';

/**
 * The files of a sample folder: in the order of labels.csv (columns `file,label`) where there is
 * one, else sorted by name. A negative or empty label means unlabelled.
 */
export async function listFolder(folder: string): Promise<readonly LabelledFile[]> {
  const names = await namesIn(folder);
  if (!names.includes(LABELS)) {
    return names.filter((name) => !name.startsWith('.')).map((file) => ({ file }));
  }
  const text = await readNamedText(join(folder, LABELS));
  const rows = parseLabels(text, LABELS);
  await checkPresent(folder, rows, new Set(names));
  return rows;
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    const entries = await readdir(folder, { withFileTypes: true });
    const files = entries.filter((entry) => !entry.isDirectory()).map((entry) => entry.name);
    // By code unit, as Python and every other tool sorts; not by the user's language.
    return files.toSorted((a, b) => (a < b ? -1 : 1));
  } catch (error) {
    throw fileError('read', folder, error);
  }
}

/** Parses labels.csv. Pure; `title` names it in errors. */
export function parseLabels(text: string, title: string): readonly LabelledFile[] {
  const [head = '', ...lines] = text.replace(/^\uFEFF/, '').split(/\r?\n/);
  const columns = cellsOf(head);
  const [file, label] = [columns.indexOf('file'), columns.indexOf('label')];
  if (file < 0 || label < 0) {
    throw new SampleError('labels', `${title}: the first line must name the columns file,label`);
  }
  return lines.flatMap((line, index) => {
    if (line.trim() === '') return [];
    const cells = cellsOf(line);
    return [parseRow(cells[file] ?? '', cells[label] ?? '', `${title} line ${index + 2}`)];
  });
}

/** Cells of one line; quotes protect commas and doubled quotes (RFC 4180). */
function cellsOf(line: string): string[] {
  const cells = [...`,${line}`.matchAll(/,(?:"((?:[^"]|"")*)"|([^,]*))/g)];
  return cells.map(([, quoted, plain]) => quoted?.replaceAll('""', '"') ?? (plain ?? '').trim());
}

function parseRow(file: string, label: string, title: string): LabelledFile {
  const inside = normalize(file);
  if (file === '' || isAbsolute(inside) || inside.split(sep)[0] === '..') {
    throw new SampleError('labels', `${title}: "${file}" is not a file inside the folder`);
  }
  if (label !== '' && !/^[+-]?\d{1,15}$/.test(label)) {
    throw new SampleError('labels', `${title}: the label "${label}" is not a whole number`);
  }
  const value = label === '' ? -1 : Number(label);
  return value < 0 ? { file: inside } : { file: inside, label: value };
}

async function checkPresent(
  folder: string,
  rows: readonly LabelledFile[],
  names: ReadonlySet<string>,
): Promise<void> {
  for (const { file } of rows) {
    if (names.has(file)) continue;
    try {
      // oxlint-disable-next-line no-await-in-loop -- only files in folders below get here
      await stat(join(folder, file));
    } catch (error) {
      const why = codeOf(error) === 'ENOENT' ? 'there is no such file' : 'it cannot be read';
      throw new SampleError('labels', `${join(folder, LABELS)}: names ${file}, but ${why}`, error);
    }
  }
}
