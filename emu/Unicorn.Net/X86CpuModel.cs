namespace Unicorn.Net;

/// <summary>The processor models of an x86 engine.</summary>
public enum X86CpuModel
{
    /// <summary>QEMU's model qemu64.</summary>
    Qemu64 = 0,

    /// <summary>QEMU's model phenom.</summary>
    Phenom = 1,

    /// <summary>QEMU's model core2duo.</summary>
    Core2Duo = 2,

    /// <summary>QEMU's model kvm64.</summary>
    Kvm64 = 3,

    /// <summary>QEMU's model qemu32.</summary>
    Qemu32 = 4,

    /// <summary>QEMU's model kvm32.</summary>
    Kvm32 = 5,

    /// <summary>QEMU's model coreduo.</summary>
    CoreDuo = 6,

    /// <summary>QEMU's model 486.</summary>
    I486 = 7,

    /// <summary>QEMU's model pentium.</summary>
    Pentium = 8,

    /// <summary>QEMU's model pentium2.</summary>
    Pentium2 = 9,

    /// <summary>QEMU's model pentium3.</summary>
    Pentium3 = 10,

    /// <summary>QEMU's model athlon.</summary>
    Athlon = 11,

    /// <summary>QEMU's model n270.</summary>
    N270 = 12,

    /// <summary>QEMU's model conroe.</summary>
    Conroe = 13,

    /// <summary>QEMU's model penryn.</summary>
    Penryn = 14,

    /// <summary>QEMU's model nehalem.</summary>
    Nehalem = 15,

    /// <summary>QEMU's model westmere.</summary>
    Westmere = 16,

    /// <summary>QEMU's model sandybridge.</summary>
    SandyBridge = 17,

    /// <summary>QEMU's model ivybridge.</summary>
    IvyBridge = 18,

    /// <summary>QEMU's model haswell.</summary>
    Haswell = 19,

    /// <summary>QEMU's model broadwell.</summary>
    Broadwell = 20,

    /// <summary>QEMU's model skylake-client.</summary>
    SkylakeClient = 21,

    /// <summary>QEMU's model skylake-server.</summary>
    SkylakeServer = 22,

    /// <summary>QEMU's model cascadelake-server.</summary>
    CascadeLakeServer = 23,

    /// <summary>QEMU's model cooperlake.</summary>
    CooperLake = 24,

    /// <summary>QEMU's model icelake-client.</summary>
    IceLakeClient = 25,

    /// <summary>QEMU's model icelake-server.</summary>
    IceLakeServer = 26,

    /// <summary>QEMU's model denverton.</summary>
    Denverton = 27,

    /// <summary>QEMU's model snowridge.</summary>
    SnowRidge = 28,

    /// <summary>QEMU's model knightsmill.</summary>
    KnightsMill = 29,

    /// <summary>QEMU's model opteron-g1.</summary>
    OpteronG1 = 30,

    /// <summary>QEMU's model opteron-g2.</summary>
    OpteronG2 = 31,

    /// <summary>QEMU's model opteron-g3.</summary>
    OpteronG3 = 32,

    /// <summary>QEMU's model opteron-g4.</summary>
    OpteronG4 = 33,

    /// <summary>QEMU's model opteron-g5.</summary>
    OpteronG5 = 34,

    /// <summary>QEMU's model epyc.</summary>
    Epyc = 35,

    /// <summary>QEMU's model dhyana.</summary>
    Dhyana = 36,

    /// <summary>QEMU's model epyc-rome.</summary>
    EpycRome = 37,
}
