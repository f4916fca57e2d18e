namespace Unicorn.Net;

/// <summary>The registers of an engine or of a saved context.</summary>
/// <remarks>
/// A value may be wider than its register, and what lies above the register is then 0 or ignored; for a narrower one the engine answers
/// <see cref="UnicornError.Overflow"/>. Overloads with a number are for other architectures than x86.
/// </remarks>
public abstract unsafe class RegisterFile
{
    private const int BatchSize = 64;

    /// <summary>Reads a register of at most 8 bytes.</summary>
    /// <param name="register">The register.</param>
    /// <exception cref="UnicornException">The engine refuses.</exception>
    public ulong ReadRegister(X86Register register) => ReadValue<ulong>((int)register);

    /// <summary>Reads a register.</summary>
    /// <typeparam name="T">At least as wide as the register: <see cref="UInt128"/> for XMM0, <see cref="X86TableRegister"/> for GDTR.</typeparam>
    /// <param name="register">The register.</param>
    /// <exception cref="UnicornException">The engine refuses.</exception>
    public T ReadValue<T>(X86Register register)
        where T : unmanaged => ReadValue<T>((int)register);

    /// <summary>Reads a register.</summary>
    /// <typeparam name="T">At least as wide as the register.</typeparam>
    /// <param name="register">libunicorn's number for the register.</param>
    /// <exception cref="UnicornException">The engine refuses.</exception>
    public T ReadValue<T>(int register)
        where T : unmanaged
    {
        // SAFETY: the engine writes at most `size` bytes.
        T value = default;
        nuint size = (nuint)sizeof(T);
        Check(Read(register, &value, &size));
        return value;
    }

    /// <summary>Reads a model-specific register.</summary>
    /// <param name="index">Its number, as in ECX for RDMSR.</param>
    /// <returns>Its value; 0 for one that the engine does not know.</returns>
    /// <exception cref="UnicornException">The engine refuses.</exception>
    public ulong ReadMsr(uint index)
    {
        X86Msr msr = new(index, 0);
        nuint size = (nuint)sizeof(X86Msr);
        Check(Read((int)X86Register.Msr, &msr, &size));
        return msr.Value;
    }

    /// <summary>Reads registers of at most 8 bytes each, in one call.</summary>
    /// <param name="registers">The registers.</param>
    /// <param name="values">As long, for their values.</param>
    /// <exception cref="ArgumentException">The spans differ in length.</exception>
    /// <exception cref="UnicornException">The engine refuses; registers before the one it does not know are read.</exception>
    public void ReadRegisters(ReadOnlySpan<X86Register> registers, Span<ulong> values)
    {
        values.Clear();
        Batch(registers, values, write: false);
    }

    /// <summary>Writes a register of at most 8 bytes.</summary>
    /// <param name="register">The register.</param>
    /// <param name="value">Its value.</param>
    /// <exception cref="UnicornException">The engine refuses.</exception>
    public void WriteRegister(X86Register register, ulong value) => WriteValue((int)register, value);

    /// <summary>Writes a register.</summary>
    /// <typeparam name="T">At least as wide as the register: <see cref="UInt128"/> for XMM0, <see cref="X86TableRegister"/> for GDTR.</typeparam>
    /// <param name="register">The register.</param>
    /// <param name="value">Its value.</param>
    /// <exception cref="UnicornException">The engine refuses.</exception>
    public void WriteValue<T>(X86Register register, T value)
        where T : unmanaged => WriteValue((int)register, value);

    /// <summary>Writes a register.</summary>
    /// <typeparam name="T">At least as wide as the register.</typeparam>
    /// <param name="register">libunicorn's number for the register.</param>
    /// <param name="value">Its value.</param>
    /// <exception cref="UnicornException">The engine refuses.</exception>
    public void WriteValue<T>(int register, T value)
        where T : unmanaged
    {
        nuint size = (nuint)sizeof(T);
        Check(Write(register, &value, &size));
    }

    /// <summary>Writes a model-specific register.</summary>
    /// <param name="index">Its number, as in ECX for WRMSR.</param>
    /// <param name="value">Its value; one that the engine does not know is ignored.</param>
    /// <exception cref="UnicornException">The engine refuses.</exception>
    public void WriteMsr(uint index, ulong value) => WriteValue(X86Register.Msr, new X86Msr(index, value));

    /// <summary>Writes registers of at most 8 bytes each, in one call.</summary>
    /// <param name="registers">The registers.</param>
    /// <param name="values">As long, with their values.</param>
    /// <exception cref="ArgumentException">The spans differ in length.</exception>
    /// <exception cref="UnicornException">The engine refuses; registers before the one it does not know are written.</exception>
    public void WriteRegisters(ReadOnlySpan<X86Register> registers, ReadOnlySpan<ulong> values) => Batch(registers, values, write: true);

    /// <summary>Throws what a call has left.</summary>
    private protected abstract void Check(UnicornError error);

    private protected abstract UnicornError Read(int register, void* value, nuint* size);

    private protected abstract UnicornError Write(int register, void* value, nuint* size);

    private protected abstract UnicornError ReadBatch(int* registers, void** values, nuint* sizes, int count);

    private protected abstract UnicornError WriteBatch(int* registers, void** values, nuint* sizes, int count);

    private void Batch(ReadOnlySpan<X86Register> registers, ReadOnlySpan<ulong> values, bool write)
    {
        if (registers.Length != values.Length)
        {
            throw new ArgumentException($"{registers.Length} registers cannot have {values.Length} values.", nameof(values));
        }

        void** pointers = stackalloc void*[BatchSize];
        nuint* sizes = stackalloc nuint[BatchSize];
        fixed (X86Register* ids = registers)
        fixed (ulong* words = values)
        {
            for (int done = 0; done < registers.Length; done += BatchSize)
            {
                int count = Math.Min(BatchSize, registers.Length - done);
                for (int i = 0; i < count; i++)
                {
                    pointers[i] = words + done + i;
                    sizes[i] = sizeof(ulong);
                }

                // SAFETY: ids and words are pinned, and each size is that of the word its pointer points to.
                int* first = (int*)(ids + done);
                Check(write ? WriteBatch(first, pointers, sizes, count) : ReadBatch(first, pointers, sizes, count));
            }
        }
    }
}
