import type { Argument, Command, Option } from 'commander';

/** What a shell needs to know of an option. */
export interface OptionNode {
  /** `-h`, `--help`: at least one. */
  readonly names: readonly string[];
  readonly about: string;
  readonly takesValue: boolean;
  /** The values it can have; empty where any can be given. */
  readonly choices: readonly string[];
}

/** A command as shells complete it. */
export interface CommandNode {
  /** Names from below the program: `['config', 'check']`; empty for the program itself. */
  readonly path: readonly string[];
  readonly about: string;
  readonly options: readonly OptionNode[];
  readonly commands: readonly CommandNode[];
  /** What its arguments can be; empty where they are files or there are none. */
  readonly choices: readonly string[];
  readonly takesArguments: boolean;
}

/** Words that need no quoting in any shell; others are not offered. */
const PLAIN_WORD = /^[\w.+:,=@/-]+$/;

/** The command and all below it, from the same definition that parses the command line. */
export function commandTree(command: Command, path: readonly string[] = []): CommandNode {
  const help = command.createHelp();
  const listed: readonly Command[] = help.visibleCommands(command);
  return {
    path,
    about: firstLine(command.summary() === '' ? command.description() : command.summary()),
    options: help.visibleOptions(command).map(optionNode),
    // `help` is commander's own and takes names of commands; --help does the same.
    commands: listed
      .filter((below) => below.name() !== 'help')
      .map((below) => commandTree(below, [...path, below.name()])),
    choices: command.registeredArguments.flatMap(choicesOf),
    takesArguments: command.registeredArguments.length > 0,
  };
}

function optionNode(option: Option): OptionNode {
  return {
    names: [option.short, option.long].filter((name) => name !== undefined),
    about: firstLine(option.description),
    takesValue: option.required || option.optional,
    choices: choicesOf(option),
  };
}

function choicesOf({ argChoices = [] }: Option | Argument): string[] {
  return argChoices.filter((word) => PLAIN_WORD.test(word));
}

function firstLine(text: string): string {
  return text.split('\n')[0] ?? '';
}

/** The command and all below it, in the order of `--help`. */
export function flatten(node: CommandNode): CommandNode[] {
  return [node, ...node.commands.flatMap(flatten)];
}

/** A text as one word of bash, zsh or any POSIX shell. */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
