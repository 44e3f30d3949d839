import { createHash } from 'node:crypto';
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { observeDurable, type DurableStep } from '../../agent/util/durable-steps.ts';

/** What a disk holds: files and links by their path below the root; folders only where empty. */
export type Disk = ReadonlyMap<string, Node>;

type Node =
  | { readonly kind: 'file'; readonly bytes: Uint8Array }
  | { readonly kind: 'link'; readonly target: string }
  | { readonly kind: 'folder' };

/** One change of a folder or of a file's content, and the step after which no power cut undoes it. */
interface Change {
  readonly step: number;
  /** Syncing it makes the change last. */
  readonly folder: string;
  readonly apply: (disk: Map<string, Node>) => void;
  /** Of a file whose content is not synced yet: it may be there only in part. */
  readonly torn?: (disk: Map<string, Node>) => void;
  tornUntil: number;
  safeAfter: number;
}

export function readDisk(root: string, folder = root): Map<string, Node> {
  const disk = new Map<string, Node>();
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    const name = relative(root, path);
    if (entry.isSymbolicLink()) disk.set(name, { kind: 'link', target: readlinkSync(path) });
    else if (entry.isFile()) disk.set(name, { kind: 'file', bytes: readFileSync(path) });
    else {
      disk.set(name, { kind: 'folder' });
      for (const [inner, node] of readDisk(root, path)) disk.set(inner, node);
    }
  }
  return disk;
}

export function writeDisk(root: string, disk: Disk): void {
  for (const [name, node] of disk) {
    const path = join(root, name);
    mkdirSync(node.kind === 'folder' ? path : dirname(path), { recursive: true });
    if (node.kind === 'file') writeFileSync(path, node.bytes);
    if (node.kind === 'link') symlinkSync(node.target, path);
  }
}

/**
 * Records the steps of util/durable-steps.ts below `root`. What others wrote counts from where a step first
 * touches it: its content is read then.
 */
export class StepRecorder {
  readonly #root: string;
  readonly #base: Map<string, Node>;
  readonly #changes: Change[] = [];
  readonly #known = new Set<string>();
  readonly #files = new Map<string, Change>();
  readonly #labels: string[] = [];
  #steps = 0;

  constructor(root: string) {
    this.#root = root;
    this.#base = readDisk(root);
  }

  get steps(): number {
    return this.#steps;
  }

  /** What was going on when a step was taken. */
  labelOf(step: number): string {
    return this.#labels[step] ?? '';
  }

  record(step: DurableStep, label: string): void {
    this.#labels.push(label);
    this.#take(step);
    this.#steps += 1;
  }

  /**
   * The disks that a power cut just before a step may leave: what was synced, and any of the rest.
   */
  after(step: number): readonly Disk[] {
    const happened = this.#changes.filter((change) => change.step < step);
    const open = happened.filter(({ safeAfter }) => safeAfter >= step);
    return choices(open.length).flatMap((isKept) => {
      const kept = (change: Change) => !open.includes(change) || isKept(open.indexOf(change));
      const whole = this.#disk(happened.filter(kept), () => false);
      const isTorn = ({ tornUntil, torn }: Change) => torn !== undefined && tornUntil >= step;
      if (!happened.some((change) => kept(change) && isTorn(change))) return [whole];
      return [whole, this.#disk(happened.filter(kept), isTorn)];
    });
  }

  #disk(changes: readonly Change[], isTorn: (change: Change) => boolean): Disk {
    const disk = new Map(this.#base);
    for (const change of changes) (isTorn(change) ? change.torn : change.apply)?.(disk);
    return disk;
  }

  #take(step: DurableStep): void {
    switch (step.step) {
      case 'mkdir':
        return this.#addNode(step.path, { kind: 'folder' });
      case 'symlink':
        return this.#addNode(step.path, { kind: 'link', target: step.target });
      case 'write':
        return this.#addFile(step.path, Buffer.from(step.bytes), Number.POSITIVE_INFINITY);
      case 'sync':
        return this.#sync(step.path);
      case 'remove': {
        const name = this.#name(step.path);
        return this.#add(dirname(step.path), (disk) => {
          removeTree(disk, name);
        });
      }
      case 'rename':
        return this.#rename(step.from, step.to);
      case 'sync-folder':
      default:
        for (const change of this.#changes) {
          if (change.folder === step.path)
            change.safeAfter = Math.min(change.safeAfter, this.#steps);
        }
    }
  }

  #add(folder: string, apply: Change['apply']): void {
    const open = Number.POSITIVE_INFINITY;
    this.#changes.push({ step: this.#steps, folder, apply, tornUntil: -1, safeAfter: open });
  }

  #addNode(path: string, node: Node): void {
    const name = this.#name(path);
    this.#known.add(path);
    this.#add(dirname(path), (disk) => {
      disk.set(name, node);
    });
  }

  #addFile(path: string, bytes: Uint8Array, tornUntil: number): void {
    const name = this.#name(path);
    const half = bytes.subarray(0, bytes.length / 2);
    const change: Change = {
      step: this.#steps,
      folder: dirname(path),
      apply: (disk) => {
        disk.set(name, { kind: 'file', bytes });
      },
      torn: (disk) => {
        disk.set(name, { kind: 'file', bytes: half });
      },
      tornUntil,
      safeAfter: Number.POSITIVE_INFINITY,
    };
    this.#changes.push(change);
    this.#known.add(path);
    this.#files.set(path, change);
  }

  #sync(path: string): void {
    const change = this.#files.get(path);
    if (change === undefined) this.#addFile(path, readFileSync(path), this.#steps);
    else change.tornUntil = this.#steps;
  }

  #rename(from: string, to: string): void {
    // Made by somebody else, who has synced it: a fitted model, a downloaded file.
    const isTold = [...this.#known].some((one) => one === from || one.startsWith(`${from}/`));
    if (!isTold && !this.#base.has(this.#name(from))) {
      for (const [name, node] of readTree(this.#root, from)) {
        this.#changes.push({
          step: this.#steps,
          folder: dirname(from),
          apply: (disk) => {
            disk.set(name, node);
          },
          tornUntil: -1,
          safeAfter: this.#steps,
        });
      }
    }
    this.#known.add(to);
    this.#files.delete(from);
    const [before, after] = [this.#name(from), this.#name(to)];
    this.#add(dirname(to), (disk) => {
      moveTree(disk, before, after);
    });
  }

  #name(path: string): string {
    return relative(this.#root, path);
  }
}

function readTree(root: string, path: string): Disk {
  if (statSync(path).isDirectory()) return readDisk(root, path);
  return new Map([[relative(root, path), { kind: 'file', bytes: readFileSync(path) }]]);
}

function inside(disk: Disk, name: string): readonly string[] {
  return [...disk.keys()].filter((one) => one === name || one.startsWith(`${name}/`));
}

function removeTree(disk: Map<string, Node>, name: string): void {
  for (const one of inside(disk, name)) disk.delete(one);
}

function moveTree(disk: Map<string, Node>, from: string, to: string): void {
  const names = inside(disk, from);
  if (names.length === 0) return;
  removeTree(disk, to);
  for (const name of names) {
    const node = disk.get(name);
    disk.delete(name);
    if (node !== undefined) disk.set(`${to}${name.slice(from.length)}`, node);
  }
}

const MAX_SUBSETS = 4;

/** Which of n open changes are kept: all subsets of a few; none, all, all but one, one of many. */
function choices(n: number): readonly ((at: number) => boolean)[] {
  if (n <= MAX_SUBSETS) {
    return Array.from({ length: 2 ** n }, (_, bits) => (at: number) => ((bits >> at) & 1) === 1);
  }
  const each = Array.from({ length: n }, (_, index) => index);
  return [
    () => true,
    () => false,
    ...each.map((index) => (at: number) => at !== index),
    ...each.map((index) => (at: number) => at === index),
  ];
}

export interface CutDisk {
  readonly disk: Disk;
  /** What `labelNow` said at the last step that the disk has seen. */
  readonly label: string;
}

/** Every disk that a power cut during some work may leave below `root`; different ones only. */
export async function disksAfterCuts(
  root: string,
  work: () => Promise<void>,
  labelNow: () => string = () => '',
): Promise<readonly CutDisk[]> {
  const recorder = new StepRecorder(root);
  const first = labelNow();
  const end = observeDurable((step) => recorder.record(step, labelNow()));
  await work().finally(end);
  const disks = new Map<string, CutDisk>();
  for (let step = 0; step <= recorder.steps; step += 1) {
    const label = step === 0 ? first : recorder.labelOf(Math.min(step, recorder.steps - 1));
    for (const disk of recorder.after(step)) {
      disks.set(`${label} ${digestOfDisk(disk)}`, { disk, label });
    }
  }
  return [...disks.values()];
}

/** Tells disks apart. */
export function digestOfDisk(disk: Disk): string {
  const hash = createHash('sha256');
  for (const [name, node] of [...disk].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    hash.update(`${name}\0${node.kind}\0`);
    if (node.kind === 'file') hash.update(node.bytes);
    if (node.kind === 'link') hash.update(node.target);
  }
  return hash.digest('hex');
}
