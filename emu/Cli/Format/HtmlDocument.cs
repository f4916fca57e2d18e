using System.Net;
using System.Text;

namespace Quadwalk.Cli;

/// <summary>One HTML file that needs nothing beside itself: no script, no network, readable on paper and on a telephone, light or dark.</summary>
internal static class HtmlDocument
{
    private const string Head = """
        <!DOCTYPE html>
        <html lang="en">
        <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <meta name="color-scheme" content="light dark">
        <meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
        """;

    /// <summary>Writes a document round a body.</summary>
    /// <param name="target">Where to.</param>
    /// <param name="title">Its title, not escaped.</param>
    /// <param name="body">Writes what is between the body's tags.</param>
    public static void Write(Stream target, string title, Action<TextWriter> body)
    {
        using StreamWriter output = new(target, new UTF8Encoding(encoderShouldEmitUTF8Identifier: false), 1 << 14, leaveOpen: true) { NewLine = "\n" };
        output.WriteLine(Head);
        output.WriteLine($"<title>{Escape(title)}</title>");
        output.WriteLine($"<style>{HtmlStyle.Sheet}</style>");
        output.WriteLine("</head>");
        output.WriteLine("<body>");
        body(output);
        output.WriteLine("</body>");
        output.WriteLine("</html>");
    }

    /// <summary>Text as it may stand between tags and in attributes.</summary>
    public static string Escape(string text) => WebUtility.HtmlEncode(text);
}
