import { flatten, quoted, type CommandNode, type OptionNode } from './tree.ts';

/** A zsh completion (an autoload file) for the program under each of these names. */
export function zshCompletion(tree: CommandNode, names: readonly string[]): string {
  const functions = flatten(tree).map((node) =>
    node.commands.length === 0 ? leaf(node) : branch(node),
  );
  return `#compdef ${names.join(' ')}

${functions.join('\n\n')}

${functionName(tree)} "$@"
`;
}

function functionName({ path }: CommandNode): string {
  return ['_edgefit', ...path].join('_');
}

function branch(node: CommandNode): string {
  const listed = node.commands.map(({ path, about }) =>
    quoted(`${path.at(-1)?.replaceAll(':', String.raw`\:`) ?? ''}:${about}`),
  );
  const cases = node.commands.map(
    (below) => `        (${below.path.at(-1) ?? ''}) ${functionName(below)} ;;`,
  );
  return `${functionName(node)}() {
  local state line
  typeset -A opt_args
  local -a commands=(
    ${listed.join('\n    ')}
  )
  _arguments -C \\
    ${[...node.options.map(optionSpec), "'1:command:->command'", "'*::argument:->argument'"].join(' \\\n    ')}
  case $state in
    (command) _describe command commands ;;
    (argument)
      case $line[1] in
${cases.join('\n')}
      esac ;;
  esac
}`;
}

function leaf(node: CommandNode): string {
  const values = node.choices.length === 0 ? '_files' : `(${node.choices.join(' ')})`;
  const specs = [
    ...node.options.map(optionSpec),
    ...(node.takesArguments ? [quoted(`*:argument:${values}`)] : []),
  ];
  return `${functionName(node)}() {
  _arguments \\
    ${specs.join(' \\\n    ')}
}`;
}

/** `(-h --help)'{-h,--help}'[about]:value:action`, quoted. */
function optionSpec({ names, about, takesValue, choices }: OptionNode): string {
  const action = choices.length === 0 ? '_files' : `(${choices.join(' ')})`;
  const rest = `[${plain(about)}]${takesValue ? `:value:${action}` : ''}`;
  if (names.length === 1) return quoted(`*${names[0] ?? ''}${rest}`);
  return `${quoted(`(${names.join(' ')})`)}{${names.join(',')}}${quoted(rest)}`;
}

/** Brackets and colons separate the parts of a specification. */
function plain(text: string): string {
  return text.replaceAll(/[[\]:\\]/g, String.raw`\$&`);
}
