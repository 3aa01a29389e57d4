      *> Options of an app.
      *>   COPY "hasty-options.cpy" REPLACING ==:TAG:== BY ==name==.
      *> Generated from include/hasty.h by bindings/declare.py.
       01 :TAG:.
           05 :TAG:-size
               USAGE BINARY-DOUBLE UNSIGNED VALUE 0.
           05 :TAG:-max-body-bytes
               USAGE BINARY-DOUBLE UNSIGNED VALUE 0.
           05 :TAG:-threads
               USAGE BINARY-LONG UNSIGNED VALUE 0.
           05 :TAG:-max-connections
               USAGE BINARY-LONG UNSIGNED VALUE 0.
           05 :TAG:-max-connections-per-ip
               USAGE BINARY-LONG UNSIGNED VALUE 0.
           05 :TAG:-max-header-bytes
               USAGE BINARY-LONG UNSIGNED VALUE 0.
           05 :TAG:-max-headers
               USAGE BINARY-LONG UNSIGNED VALUE 0.
           05 :TAG:-max-target-bytes
               USAGE BINARY-LONG UNSIGNED VALUE 0.
           05 :TAG:-header-timeout-ms
               USAGE BINARY-LONG UNSIGNED VALUE 0.
           05 :TAG:-body-timeout-ms
               USAGE BINARY-LONG UNSIGNED VALUE 0.
           05 :TAG:-idle-timeout-ms
               USAGE BINARY-LONG UNSIGNED VALUE 0.
           05 :TAG:-write-timeout-ms
               USAGE BINARY-LONG UNSIGNED VALUE 0.
           05 :TAG:-exchange-timeout-ms
               USAGE BINARY-LONG UNSIGNED VALUE 0.
           05 :TAG:-max-requests-per-connection
               USAGE BINARY-LONG UNSIGNED VALUE 0.
           05 :TAG:-server-header
               USAGE POINTER VALUE NULL.
