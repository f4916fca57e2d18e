namespace Quadwalk.Cli;

/// <summary>How the HTML reports look. A colour stands for rights only beside the letters that name them.</summary>
internal static class HtmlStyle
{
    public const string Sheet = """

        :root { color-scheme: light dark; --bg: #f6f7f9; --card: #fff; --ink: #1b1f24; --dim: #59636e; --line: #d5dae0; --link: #0b57d0; --mark: #ffe28a;
          --r: #5f6b7a; --rw: #1f6feb; --rx: #1a7f37; --rwx: #c02a2a; --bad: #8a3ffc; }
        @media (prefers-color-scheme: dark) {
          :root { --bg: #12151a; --card: #1b2027; --ink: #e4e8ee; --dim: #9aa6b4; --line: #333c47; --link: #8ab4f8; --mark: #6b5500;
            --r: #9aa6b4; --rw: #6ea8ff; --rx: #57c26d; --rwx: #ff7b72; --bad: #c297ff; } }
        * { box-sizing: border-box; }
        body { margin: 0; padding: 1rem clamp(.75rem, 2vw, 2rem) 3rem; background: var(--bg); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
        h1 { font-size: 1.4rem; margin: 0; overflow-wrap: anywhere; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; } h3 { font-size: .95rem; margin: 0 0 .5rem; }
        h1 + p, .dim, .note, h3 small { color: var(--dim); } p { margin: .25rem 0; max-width: 100ch; overflow-wrap: anywhere; } a { color: var(--link); }
        code, .mono, td, .card { font-family: ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; font-size: 12.5px; }
        .box { background: var(--card); border: 1px solid var(--line); border-left: 6px solid var(--rx); border-radius: 6px; padding: .6rem .9rem; margin: 1rem 0; }
        .box.fault { border-left-color: var(--rwx); } .box b { font-size: 1.05rem; }
        .scroll { overflow-x: auto; background: var(--card); border: 1px solid var(--line); border-radius: 6px; }
        table { border-collapse: collapse; width: 100%; } th, td { text-align: left; padding: .25rem .7rem; white-space: nowrap; border-top: 1px solid var(--line); }
        th { border-top: 0; font-weight: 600; font-size: 13px; color: var(--dim); }
        .levels { display: grid; grid-template-columns: repeat(var(--n), minmax(0, 1fr)); gap: 1rem; align-items: start; }
        .card { background: var(--card); border: 1px solid var(--line); border-radius: 6px; margin: 0 0 .75rem; scroll-margin-top: 1rem; }
        .card > summary, .more > summary { padding: .4rem .6rem; cursor: pointer; overflow-wrap: anywhere; } .card > summary b { font-size: 13.5px; }
        .card > div { padding: 0 .6rem .4rem; color: var(--dim); overflow-wrap: anywhere; } .card:target { outline: 3px solid var(--link); }
        .card.walked { border-color: var(--ink); border-width: 2px; }
        .more { margin: 0 0 .75rem; } .more > summary { color: var(--link); }
        ul.rows { list-style: none; margin: 0; padding: 0; } .rows li { border-top: 1px solid var(--line); border-left: 6px solid var(--k, transparent); padding: .12rem .45rem; overflow-wrap: anywhere; }
        .rows li.walked { background: var(--mark); } .rows summary { cursor: pointer; } .rows summary:hover, .rows summary:focus-visible { text-decoration: underline dotted; }
        .rows li.none { color: var(--dim); } .ix { display: inline-block; min-width: 7.5ch; } li.none > .ix { margin-left: 1em; } .step { font-weight: 700; }
        .rows dl { display: grid; grid-template-columns: auto minmax(0, 1fr); gap: 0 .7rem; margin: .3rem 0 .4rem; } dt { color: var(--dim); } dd { margin: 0; overflow-wrap: anywhere; }
        .k { --k: var(--r); } .k.w { --k: var(--rw); } .k.x { --k: var(--rx); } .k.w.x { --k: var(--rwx); } .k.bad { --k: var(--bad); }
        .chip { display: inline-block; border: 1px solid var(--k); color: var(--k); border-radius: 4px; padding: 0 .35em; white-space: nowrap; }
        .chip.u { background: var(--k); color: var(--card); } .legend .chip { margin: 0 .6rem .3rem 0; font-family: ui-monospace, "DejaVu Sans Mono", monospace; font-size: 12.5px; }
        @media (max-width: 900px) { .levels { grid-template-columns: minmax(0, 1fr); } th, td { padding: .25rem .45rem; } }
        @media print { .levels { display: block; } }
        """;
}
