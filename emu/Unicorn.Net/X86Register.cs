namespace Unicorn.Net;

/// <summary>The registers of an x86 engine, with the numbers libunicorn gives them.</summary>
public enum X86Register
{
    /// <summary>No register.</summary>
    None = 0,

    /// <summary>AH.</summary>
    Ah = 1,

    /// <summary>AL.</summary>
    Al = 2,

    /// <summary>AX.</summary>
    Ax = 3,

    /// <summary>BH.</summary>
    Bh = 4,

    /// <summary>BL.</summary>
    Bl = 5,

    /// <summary>BP.</summary>
    Bp = 6,

    /// <summary>BPL.</summary>
    Bpl = 7,

    /// <summary>BX.</summary>
    Bx = 8,

    /// <summary>CH.</summary>
    Ch = 9,

    /// <summary>CL.</summary>
    Cl = 10,

    /// <summary>The selector in CS, 2 bytes.</summary>
    Cs = 11,

    /// <summary>CX.</summary>
    Cx = 12,

    /// <summary>DH.</summary>
    Dh = 13,

    /// <summary>DI.</summary>
    Di = 14,

    /// <summary>DIL.</summary>
    Dil = 15,

    /// <summary>DL.</summary>
    Dl = 16,

    /// <summary>The selector in DS, 2 bytes.</summary>
    Ds = 17,

    /// <summary>DX.</summary>
    Dx = 18,

    /// <summary>EAX.</summary>
    Eax = 19,

    /// <summary>EBP.</summary>
    Ebp = 20,

    /// <summary>EBX.</summary>
    Ebx = 21,

    /// <summary>ECX.</summary>
    Ecx = 22,

    /// <summary>EDI.</summary>
    Edi = 23,

    /// <summary>EDX.</summary>
    Edx = 24,

    /// <summary>EFLAGS, 4 bytes.</summary>
    Eflags = 25,

    /// <summary>EIP.</summary>
    Eip = 26,

    /// <summary>The selector in ES, 2 bytes.</summary>
    Es = 28,

    /// <summary>ESI.</summary>
    Esi = 29,

    /// <summary>ESP.</summary>
    Esp = 30,

    /// <summary>The x87 status word.</summary>
    Fpsw = 31,

    /// <summary>The selector in FS, 2 bytes.</summary>
    Fs = 32,

    /// <summary>The selector in GS, 2 bytes.</summary>
    Gs = 33,

    /// <summary>IP.</summary>
    Ip = 34,

    /// <summary>RAX.</summary>
    Rax = 35,

    /// <summary>RBP.</summary>
    Rbp = 36,

    /// <summary>RBX.</summary>
    Rbx = 37,

    /// <summary>RCX.</summary>
    Rcx = 38,

    /// <summary>RDI.</summary>
    Rdi = 39,

    /// <summary>RDX.</summary>
    Rdx = 40,

    /// <summary>RIP; writing it within a hook moves execution there.</summary>
    Rip = 41,

    /// <summary>RSI.</summary>
    Rsi = 43,

    /// <summary>RSP.</summary>
    Rsp = 44,

    /// <summary>SI.</summary>
    Si = 45,

    /// <summary>SIL.</summary>
    Sil = 46,

    /// <summary>SP.</summary>
    Sp = 47,

    /// <summary>SPL.</summary>
    Spl = 48,

    /// <summary>The selector in SS, 2 bytes.</summary>
    Ss = 49,

    /// <summary>CR0.</summary>
    Cr0 = 50,

    /// <summary>CR1.</summary>
    Cr1 = 51,

    /// <summary>CR2.</summary>
    Cr2 = 52,

    /// <summary>CR3.</summary>
    Cr3 = 53,

    /// <summary>CR4.</summary>
    Cr4 = 54,

    /// <summary>CR8.</summary>
    Cr8 = 58,

    /// <summary>DR0.</summary>
    Dr0 = 66,

    /// <summary>DR1.</summary>
    Dr1 = 67,

    /// <summary>DR2.</summary>
    Dr2 = 68,

    /// <summary>DR3.</summary>
    Dr3 = 69,

    /// <summary>DR4.</summary>
    Dr4 = 70,

    /// <summary>DR5.</summary>
    Dr5 = 71,

    /// <summary>DR6.</summary>
    Dr6 = 72,

    /// <summary>DR7.</summary>
    Dr7 = 73,

    /// <summary>FP0, the physical x87 register, 10 bytes.</summary>
    Fp0 = 82,

    /// <summary>FP1, the physical x87 register, 10 bytes.</summary>
    Fp1 = 83,

    /// <summary>FP2, the physical x87 register, 10 bytes.</summary>
    Fp2 = 84,

    /// <summary>FP3, the physical x87 register, 10 bytes.</summary>
    Fp3 = 85,

    /// <summary>FP4, the physical x87 register, 10 bytes.</summary>
    Fp4 = 86,

    /// <summary>FP5, the physical x87 register, 10 bytes.</summary>
    Fp5 = 87,

    /// <summary>FP6, the physical x87 register, 10 bytes.</summary>
    Fp6 = 88,

    /// <summary>FP7, the physical x87 register, 10 bytes.</summary>
    Fp7 = 89,

    /// <summary>K0.</summary>
    K0 = 90,

    /// <summary>K1.</summary>
    K1 = 91,

    /// <summary>K2.</summary>
    K2 = 92,

    /// <summary>K3.</summary>
    K3 = 93,

    /// <summary>K4.</summary>
    K4 = 94,

    /// <summary>K5.</summary>
    K5 = 95,

    /// <summary>K6.</summary>
    K6 = 96,

    /// <summary>K7.</summary>
    K7 = 97,

    /// <summary>MM0, 8 bytes.</summary>
    Mm0 = 98,

    /// <summary>MM1, 8 bytes.</summary>
    Mm1 = 99,

    /// <summary>MM2, 8 bytes.</summary>
    Mm2 = 100,

    /// <summary>MM3, 8 bytes.</summary>
    Mm3 = 101,

    /// <summary>MM4, 8 bytes.</summary>
    Mm4 = 102,

    /// <summary>MM5, 8 bytes.</summary>
    Mm5 = 103,

    /// <summary>MM6, 8 bytes.</summary>
    Mm6 = 104,

    /// <summary>MM7, 8 bytes.</summary>
    Mm7 = 105,

    /// <summary>R8.</summary>
    R8 = 106,

    /// <summary>R9.</summary>
    R9 = 107,

    /// <summary>R10.</summary>
    R10 = 108,

    /// <summary>R11.</summary>
    R11 = 109,

    /// <summary>R12.</summary>
    R12 = 110,

    /// <summary>R13.</summary>
    R13 = 111,

    /// <summary>R14.</summary>
    R14 = 112,

    /// <summary>R15.</summary>
    R15 = 113,

    /// <summary>ST0, 10 bytes.</summary>
    St0 = 114,

    /// <summary>ST1, 10 bytes.</summary>
    St1 = 115,

    /// <summary>ST2, 10 bytes.</summary>
    St2 = 116,

    /// <summary>ST3, 10 bytes.</summary>
    St3 = 117,

    /// <summary>ST4, 10 bytes.</summary>
    St4 = 118,

    /// <summary>ST5, 10 bytes.</summary>
    St5 = 119,

    /// <summary>ST6, 10 bytes.</summary>
    St6 = 120,

    /// <summary>ST7, 10 bytes.</summary>
    St7 = 121,

    /// <summary>XMM0, 16 bytes.</summary>
    Xmm0 = 122,

    /// <summary>XMM1, 16 bytes.</summary>
    Xmm1 = 123,

    /// <summary>XMM2, 16 bytes.</summary>
    Xmm2 = 124,

    /// <summary>XMM3, 16 bytes.</summary>
    Xmm3 = 125,

    /// <summary>XMM4, 16 bytes.</summary>
    Xmm4 = 126,

    /// <summary>XMM5, 16 bytes.</summary>
    Xmm5 = 127,

    /// <summary>XMM6, 16 bytes.</summary>
    Xmm6 = 128,

    /// <summary>XMM7, 16 bytes.</summary>
    Xmm7 = 129,

    /// <summary>XMM8, 16 bytes.</summary>
    Xmm8 = 130,

    /// <summary>XMM9, 16 bytes.</summary>
    Xmm9 = 131,

    /// <summary>XMM10, 16 bytes.</summary>
    Xmm10 = 132,

    /// <summary>XMM11, 16 bytes.</summary>
    Xmm11 = 133,

    /// <summary>XMM12, 16 bytes.</summary>
    Xmm12 = 134,

    /// <summary>XMM13, 16 bytes.</summary>
    Xmm13 = 135,

    /// <summary>XMM14, 16 bytes.</summary>
    Xmm14 = 136,

    /// <summary>XMM15, 16 bytes.</summary>
    Xmm15 = 137,

    /// <summary>XMM16, 16 bytes.</summary>
    Xmm16 = 138,

    /// <summary>XMM17, 16 bytes.</summary>
    Xmm17 = 139,

    /// <summary>XMM18, 16 bytes.</summary>
    Xmm18 = 140,

    /// <summary>XMM19, 16 bytes.</summary>
    Xmm19 = 141,

    /// <summary>XMM20, 16 bytes.</summary>
    Xmm20 = 142,

    /// <summary>XMM21, 16 bytes.</summary>
    Xmm21 = 143,

    /// <summary>XMM22, 16 bytes.</summary>
    Xmm22 = 144,

    /// <summary>XMM23, 16 bytes.</summary>
    Xmm23 = 145,

    /// <summary>XMM24, 16 bytes.</summary>
    Xmm24 = 146,

    /// <summary>XMM25, 16 bytes.</summary>
    Xmm25 = 147,

    /// <summary>XMM26, 16 bytes.</summary>
    Xmm26 = 148,

    /// <summary>XMM27, 16 bytes.</summary>
    Xmm27 = 149,

    /// <summary>XMM28, 16 bytes.</summary>
    Xmm28 = 150,

    /// <summary>XMM29, 16 bytes.</summary>
    Xmm29 = 151,

    /// <summary>XMM30, 16 bytes.</summary>
    Xmm30 = 152,

    /// <summary>XMM31, 16 bytes.</summary>
    Xmm31 = 153,

    /// <summary>YMM0, 32 bytes.</summary>
    Ymm0 = 154,

    /// <summary>YMM1, 32 bytes.</summary>
    Ymm1 = 155,

    /// <summary>YMM2, 32 bytes.</summary>
    Ymm2 = 156,

    /// <summary>YMM3, 32 bytes.</summary>
    Ymm3 = 157,

    /// <summary>YMM4, 32 bytes.</summary>
    Ymm4 = 158,

    /// <summary>YMM5, 32 bytes.</summary>
    Ymm5 = 159,

    /// <summary>YMM6, 32 bytes.</summary>
    Ymm6 = 160,

    /// <summary>YMM7, 32 bytes.</summary>
    Ymm7 = 161,

    /// <summary>YMM8, 32 bytes.</summary>
    Ymm8 = 162,

    /// <summary>YMM9, 32 bytes.</summary>
    Ymm9 = 163,

    /// <summary>YMM10, 32 bytes.</summary>
    Ymm10 = 164,

    /// <summary>YMM11, 32 bytes.</summary>
    Ymm11 = 165,

    /// <summary>YMM12, 32 bytes.</summary>
    Ymm12 = 166,

    /// <summary>YMM13, 32 bytes.</summary>
    Ymm13 = 167,

    /// <summary>YMM14, 32 bytes.</summary>
    Ymm14 = 168,

    /// <summary>YMM15, 32 bytes.</summary>
    Ymm15 = 169,

    /// <summary>YMM16, 32 bytes.</summary>
    Ymm16 = 170,

    /// <summary>YMM17, 32 bytes.</summary>
    Ymm17 = 171,

    /// <summary>YMM18, 32 bytes.</summary>
    Ymm18 = 172,

    /// <summary>YMM19, 32 bytes.</summary>
    Ymm19 = 173,

    /// <summary>YMM20, 32 bytes.</summary>
    Ymm20 = 174,

    /// <summary>YMM21, 32 bytes.</summary>
    Ymm21 = 175,

    /// <summary>YMM22, 32 bytes.</summary>
    Ymm22 = 176,

    /// <summary>YMM23, 32 bytes.</summary>
    Ymm23 = 177,

    /// <summary>YMM24, 32 bytes.</summary>
    Ymm24 = 178,

    /// <summary>YMM25, 32 bytes.</summary>
    Ymm25 = 179,

    /// <summary>YMM26, 32 bytes.</summary>
    Ymm26 = 180,

    /// <summary>YMM27, 32 bytes.</summary>
    Ymm27 = 181,

    /// <summary>YMM28, 32 bytes.</summary>
    Ymm28 = 182,

    /// <summary>YMM29, 32 bytes.</summary>
    Ymm29 = 183,

    /// <summary>YMM30, 32 bytes.</summary>
    Ymm30 = 184,

    /// <summary>YMM31, 32 bytes.</summary>
    Ymm31 = 185,

    /// <summary>ZMM0, 64 bytes.</summary>
    Zmm0 = 186,

    /// <summary>ZMM1, 64 bytes.</summary>
    Zmm1 = 187,

    /// <summary>ZMM2, 64 bytes.</summary>
    Zmm2 = 188,

    /// <summary>ZMM3, 64 bytes.</summary>
    Zmm3 = 189,

    /// <summary>ZMM4, 64 bytes.</summary>
    Zmm4 = 190,

    /// <summary>ZMM5, 64 bytes.</summary>
    Zmm5 = 191,

    /// <summary>ZMM6, 64 bytes.</summary>
    Zmm6 = 192,

    /// <summary>ZMM7, 64 bytes.</summary>
    Zmm7 = 193,

    /// <summary>ZMM8, 64 bytes.</summary>
    Zmm8 = 194,

    /// <summary>ZMM9, 64 bytes.</summary>
    Zmm9 = 195,

    /// <summary>ZMM10, 64 bytes.</summary>
    Zmm10 = 196,

    /// <summary>ZMM11, 64 bytes.</summary>
    Zmm11 = 197,

    /// <summary>ZMM12, 64 bytes.</summary>
    Zmm12 = 198,

    /// <summary>ZMM13, 64 bytes.</summary>
    Zmm13 = 199,

    /// <summary>ZMM14, 64 bytes.</summary>
    Zmm14 = 200,

    /// <summary>ZMM15, 64 bytes.</summary>
    Zmm15 = 201,

    /// <summary>ZMM16, 64 bytes.</summary>
    Zmm16 = 202,

    /// <summary>ZMM17, 64 bytes.</summary>
    Zmm17 = 203,

    /// <summary>ZMM18, 64 bytes.</summary>
    Zmm18 = 204,

    /// <summary>ZMM19, 64 bytes.</summary>
    Zmm19 = 205,

    /// <summary>ZMM20, 64 bytes.</summary>
    Zmm20 = 206,

    /// <summary>ZMM21, 64 bytes.</summary>
    Zmm21 = 207,

    /// <summary>ZMM22, 64 bytes.</summary>
    Zmm22 = 208,

    /// <summary>ZMM23, 64 bytes.</summary>
    Zmm23 = 209,

    /// <summary>ZMM24, 64 bytes.</summary>
    Zmm24 = 210,

    /// <summary>ZMM25, 64 bytes.</summary>
    Zmm25 = 211,

    /// <summary>ZMM26, 64 bytes.</summary>
    Zmm26 = 212,

    /// <summary>ZMM27, 64 bytes.</summary>
    Zmm27 = 213,

    /// <summary>ZMM28, 64 bytes.</summary>
    Zmm28 = 214,

    /// <summary>ZMM29, 64 bytes.</summary>
    Zmm29 = 215,

    /// <summary>ZMM30, 64 bytes.</summary>
    Zmm30 = 216,

    /// <summary>ZMM31, 64 bytes.</summary>
    Zmm31 = 217,

    /// <summary>R8B.</summary>
    R8b = 218,

    /// <summary>R9B.</summary>
    R9b = 219,

    /// <summary>R10B.</summary>
    R10b = 220,

    /// <summary>R11B.</summary>
    R11b = 221,

    /// <summary>R12B.</summary>
    R12b = 222,

    /// <summary>R13B.</summary>
    R13b = 223,

    /// <summary>R14B.</summary>
    R14b = 224,

    /// <summary>R15B.</summary>
    R15b = 225,

    /// <summary>R8D.</summary>
    R8d = 226,

    /// <summary>R9D.</summary>
    R9d = 227,

    /// <summary>R10D.</summary>
    R10d = 228,

    /// <summary>R11D.</summary>
    R11d = 229,

    /// <summary>R12D.</summary>
    R12d = 230,

    /// <summary>R13D.</summary>
    R13d = 231,

    /// <summary>R14D.</summary>
    R14d = 232,

    /// <summary>R15D.</summary>
    R15d = 233,

    /// <summary>R8W.</summary>
    R8w = 234,

    /// <summary>R9W.</summary>
    R9w = 235,

    /// <summary>R10W.</summary>
    R10w = 236,

    /// <summary>R11W.</summary>
    R11w = 237,

    /// <summary>R12W.</summary>
    R12w = 238,

    /// <summary>R13W.</summary>
    R13w = 239,

    /// <summary>R14W.</summary>
    R14w = 240,

    /// <summary>R15W.</summary>
    R15w = 241,

    /// <summary>IDTR, an <see cref="X86TableRegister"/>.</summary>
    Idtr = 242,

    /// <summary>GDTR, an <see cref="X86TableRegister"/>.</summary>
    Gdtr = 243,

    /// <summary>LDTR, an <see cref="X86TableRegister"/>.</summary>
    Ldtr = 244,

    /// <summary>TR, an <see cref="X86TableRegister"/>.</summary>
    Tr = 245,

    /// <summary>The x87 control word.</summary>
    Fpcw = 246,

    /// <summary>The x87 tag word.</summary>
    Fptag = 247,

    /// <summary>A model-specific register, an <see cref="X86Msr"/>.</summary>
    Msr = 248,

    /// <summary>MXCSR, 4 bytes.</summary>
    Mxcsr = 249,

    /// <summary>The base of FS.</summary>
    FsBase = 250,

    /// <summary>The base of GS.</summary>
    GsBase = 251,

    /// <summary>FLAGS, 2 bytes.</summary>
    Flags = 252,

    /// <summary>RFLAGS, 8 bytes.</summary>
    Rflags = 253,

    /// <summary>The x87 instruction pointer.</summary>
    Fip = 254,

    /// <summary>The x87 instruction pointer's selector.</summary>
    Fcs = 255,

    /// <summary>The x87 data pointer.</summary>
    Fdp = 256,

    /// <summary>The x87 data pointer's selector.</summary>
    Fds = 257,

    /// <summary>The last x87 opcode.</summary>
    Fop = 258,
}
