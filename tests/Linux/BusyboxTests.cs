using System.Text;
using NUnit.Framework;
using Quadwalk.Emulation;

namespace Quadwalk.Tests;

/// <summary>Debian's static busybox does here what it does on the host.</summary>
[TestFixture]
[Platform("Linux")]
internal sealed class BusyboxTests
{
    private const string Busybox = "/usr/bin/busybox";

    [TestCase("echo hello; exit 3")]
    [TestCase("for i in 1 2 3; do echo $i; done | sort -r")]
    [TestCase("x=$(echo a; echo b); echo \"$x\" | while read l; do echo \"<$l>\"; done")]
    [TestCase("i=0; while test $i -lt 50; do i=$(expr $i + 7); done; echo $i")]
    [TestCase("(exit 7); echo $?; false || echo no; ! true; echo $?")]
    [TestCase("sleep 2 & wait; echo waited; kill -0 $$ && echo alive")]
    [TestCase("trap 'echo trapped' USR1; kill -USR1 $$; echo after")]
    [TestCase("sh -c 'kill -SEGV $$'; echo $?")]
    [TestCase("cat /no/such/file; echo $?")]
    [TestCase("printf '%s-%d-%x\\n' text 42 255; printf 'b\\na\\nc\\n' | sort | tr a-z A-Z | tail -n 2")]
    [TestCase("cat <<END | rev\nhere is a document\nEND")]
    [TestCase("read a b; echo \"$b $a\"; cat")]
    [TestCase("head -c 100000 /dev/zero | sha256sum; echo x > /dev/null; test -c /dev/null && echo device")]
    [TestCase("i=0; while [ $i -lt 3000 ]; do i=$((i+1)); echo line $i; done | gzip | gunzip | tee /dev/stderr | sha256sum; echo done")]
    [TestCase("echo b a c | tr ' ' '\\n' | sort | tee /dev/null | uniq -c; echo abc | md5sum; ls /nowhere")]
    [TestCase("nosuchcommand; echo $?")]
    public void ScriptsDoWhatTheyDoOnTheHost(string script) => Compare(script, "first second\nthird line\n");

    [TestCase("seq 1 2000 | grep 7 | sed 's/7/seven/g' | head -n 20 | wc")]
    [TestCase("seq 100000 | sha256sum; seq 3000 | md5sum")]
    [TestCase("seq 30 | tac | sort -n | uniq | tr '\\n' ' '; echo")]
    [TestCase("seq 20000 | gzip | gunzip | md5sum")]
    [TestCase("for i in 1 2 3; do echo $i; done | sort -r | awk \"{s+=\\$1} END {print s}\"")]
    [TestCase("seq 50 | awk '{ t += $1 * 1.5; n[$1 % 3]++ } END { printf \"%.2f %d %d\\n\", t, n[0], n[1] }'")]
    public void ScriptsThatConvertNumbersDoWhatTheyDoOnTheHost(string script)
    {
        if (!new CpuFeatures().Has(CpuFeature.Fpu))
        {
            Assert.Ignore("seq and awk convert numbers with x87, which this processor does not claim yet.");
        }

        Compare(script, null);
    }

    [Test]
    public void AllowedFilesAreSeenAndOthersAreNot()
    {
        DirectoryInfo folder = Directory.CreateTempSubdirectory("quadwalk-allow");
        try
        {
            string seen = Path.Combine(folder.FullName, "seen"), hidden = Path.Combine(folder.FullName, "hidden");
            File.WriteAllText(seen, "contents\n");
            File.WriteAllText(hidden, "secret\n");
            File.CreateSymbolicLink(Path.Combine(folder.FullName, "link"), hidden);
            string script = $"cat {seen}; cat {hidden}; ls {folder.FullName}; cat {folder.FullName}/link; echo x >> {seen}; cat {seen}/../hidden";
            CliRun run = LinuxPrograms.Emulate(null, ["--allow", seen], BusyboxPath(), "sh", "-c", script);
            using (Assert.EnterMultipleScope())
            {
                Assert.That(run.Text, Is.EqualTo("contents\nseen\n"));
                Assert.That(run.ErrorLines.Count(line => line.Contains("No such file", StringComparison.Ordinal)), Is.EqualTo(2));
                Assert.That(run.Error, Does.Contain("Read-only file system").And.Contain("Not a directory"));
                Assert.That(File.ReadAllText(seen), Is.EqualTo("contents\n"));
            }
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private static void Compare(string script, string? input)
    {
        (int status, byte[] output, string error) = LinuxPrograms.Run(BusyboxPath(), input, ["sh", "-c", script]);
        CliRun run = LinuxPrograms.Emulate(input, ["--env", "PATH=/usr/bin:/bin"], Busybox, "sh", "-c", script);
        using (Assert.EnterMultipleScope())
        {
            Assert.That(run.Text, Is.EqualTo(Encoding.UTF8.GetString(output)));
            Assert.That((run.ExitCode, run.Error), Is.EqualTo((status, error)));
        }
    }

    private static string BusyboxPath()
    {
        if (!File.Exists(Busybox))
        {
            Assert.Ignore($"There is no {Busybox} here: ./test installs it.");
        }

        return Busybox;
    }
}
