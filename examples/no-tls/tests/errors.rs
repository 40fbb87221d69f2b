//! An `https` endpoint in a program without TLS: the error names the feature to enable.

#[test]
fn the_missing_feature_is_named() {
    for (adapter, said) in ctc_no_tls::complaints().unwrap() {
        let expected = format!(
            "  caused by: this program has no TLS, so https cannot be reached: \
             enable the feature rustls, rustls-no-provider or native-tls of ctc-{adapter}"
        );
        assert!(
            said.contains("the last CTC login failed (the server could not be reached"),
            "{said}"
        );
        assert!(said.ends_with(&expected), "{said}");
    }
}
